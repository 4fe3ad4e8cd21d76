BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0012');
CREATE TABLE cell (
	study_id INTEGER NOT NULL, 
	corpus_id INTEGER NOT NULL, 
	configuration_id INTEGER NOT NULL, 
	CONSTRAINT pk_cell PRIMARY KEY (study_id, corpus_id, configuration_id), 
	CONSTRAINT fk_cell_configuration_id_configuration FOREIGN KEY(configuration_id) REFERENCES configuration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_cell_corpus_id_corpus FOREIGN KEY(corpus_id) REFERENCES corpus (id) ON DELETE CASCADE, 
	CONSTRAINT fk_cell_study_id_study FOREIGN KEY(study_id) REFERENCES study (id) ON DELETE CASCADE
);
INSERT INTO "cell" VALUES(1,1,1);
INSERT INTO "cell" VALUES(2,2,2);
CREATE TABLE configuration (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	degradation VARCHAR(255), 
	inpainter VARCHAR(255), 
	captioner VARCHAR(255), 
	settings JSON NOT NULL, recaptioner VARCHAR(255), painter VARCHAR(255), training VARCHAR(255), 
	CONSTRAINT pk_configuration PRIMARY KEY (id), 
	CONSTRAINT uq_configuration_digest UNIQUE (digest)
);
INSERT INTO "configuration" VALUES(1,'0000000000000000000000000000000000000000000000000000000000000001','1','1','1','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','1','1','1');
INSERT INTO "configuration" VALUES(2,'0000000000000000000000000000000000000000000000000000000000000002','2','2','2','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','2','2','2');
CREATE TABLE corpus (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	settings JSON NOT NULL, 
	problems JSON NOT NULL, 
	CONSTRAINT pk_corpus PRIMARY KEY (id), 
	CONSTRAINT uq_corpus_name UNIQUE (name)
);
INSERT INTO "corpus" VALUES(1,'1','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO "corpus" VALUES(2,'2','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
CREATE TABLE "indexed" (
	path TEXT NOT NULL, 
	corpus_id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	placed VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_indexed PRIMARY KEY (path), 
	CONSTRAINT fk_indexed_corpus_id_corpus FOREIGN KEY(corpus_id) REFERENCES corpus (id) ON DELETE CASCADE
);
INSERT INTO "indexed" VALUES('1',1,'0000000000000000000000000000000000000000000000000000000000000001','1');
INSERT INTO "indexed" VALUES('2',2,'0000000000000000000000000000000000000000000000000000000000000002','2');
CREATE TABLE item (
	id INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	status VARCHAR(8) NOT NULL, 
	reason TEXT, 
	value JSON, 
	object VARCHAR(64), 
	parts JSON NOT NULL, 
	run_id VARCHAR(32) NOT NULL, digest VARCHAR(64), 
	CONSTRAINT pk_item PRIMARY KEY (id), 
	CONSTRAINT fk_item_run_id_run FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE, 
	CONSTRAINT uq_item_key UNIQUE ("key")
);
INSERT INTO "item" VALUES(1,'0000000000000000000000000000000000000000000000000000000000000001','1','1','1','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','0000000000000000000000000000000000000000000000000000000000000001','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','1','90ac754b293690962bf9261cabe55d0bc121fcaf8e0b9d63960bf3e2d85764a8');
INSERT INTO "item" VALUES(2,'0000000000000000000000000000000000000000000000000000000000000002','2','2','2','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','0000000000000000000000000000000000000000000000000000000000000002','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','2','0cfb55343b7036c9184a3a06781fef5b69c5495adf79cd5930bcebd815461aed');
CREATE TABLE lease (
	"key" VARCHAR(64) NOT NULL, 
	owner TEXT NOT NULL, 
	expires DOUBLE NOT NULL, 
	CONSTRAINT pk_lease PRIMARY KEY ("key")
);
INSERT INTO "lease" VALUES('0000000000000000000000000000000000000000000000000000000000000001','1',0.125);
INSERT INTO "lease" VALUES('0000000000000000000000000000000000000000000000000000000000000002','2',0.25);
CREATE TABLE measurement (
	item_id INTEGER NOT NULL, 
	metric VARCHAR(32) NOT NULL, 
	region VARCHAR(16) NOT NULL, 
	layer INTEGER NOT NULL, 
	value DOUBLE, 
	CONSTRAINT pk_measurement PRIMARY KEY (item_id, metric, region, layer), 
	CONSTRAINT fk_measurement_item_id_item FOREIGN KEY(item_id) REFERENCES item (id) ON DELETE CASCADE
);
INSERT INTO "measurement" VALUES(1,'1','1',1,0.125);
INSERT INTO "measurement" VALUES(2,'2','2',2,0.25);
CREATE TABLE metric (
	name VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	about VARCHAR(32) NOT NULL, 
	label VARCHAR(64) NOT NULL, 
	higher_is_better BOOLEAN, 
	low DOUBLE, 
	high DOUBLE, 
	unit VARCHAR(64) NOT NULL, 
	definition TEXT NOT NULL, 
	decimals INTEGER NOT NULL, 
	checkpoint BOOLEAN NOT NULL, 
	CONSTRAINT pk_metric PRIMARY KEY (name)
);
INSERT INTO "metric" VALUES('1',1,'1','1',0,0.125,0.125,'1','1',1,0);
INSERT INTO "metric" VALUES('2',2,'2','2',1,0.25,0.25,'2','2',2,1);
CREATE TABLE model (
	id INTEGER NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	settings JSON NOT NULL, 
	CONSTRAINT pk_model PRIMARY KEY (id), 
	CONSTRAINT uq_model_role_name_digest UNIQUE (role, name, digest)
);
INSERT INTO "model" VALUES(1,'1','1','0000000000000000000000000000000000000000000000000000000000000001','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO "model" VALUES(2,'2','2','0000000000000000000000000000000000000000000000000000000000000002','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
CREATE TABLE parent (
	item_id INTEGER NOT NULL, 
	parent_id INTEGER NOT NULL, 
	CONSTRAINT pk_parent PRIMARY KEY (item_id, parent_id), 
	CONSTRAINT fk_parent_item_id_item FOREIGN KEY(item_id) REFERENCES item (id) ON DELETE CASCADE, 
	CONSTRAINT fk_parent_parent_id_item FOREIGN KEY(parent_id) REFERENCES item (id) ON DELETE CASCADE
);
INSERT INTO "parent" VALUES(1,1);
INSERT INTO "parent" VALUES(2,2);
CREATE TABLE pin (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	version VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	git_commit VARCHAR(64) NOT NULL, 
	pinned_at DATETIME NOT NULL, kind VARCHAR(32) DEFAULT 'data' NOT NULL, md5 VARCHAR(64), study VARCHAR(255), runs JSON DEFAULT '[]' NOT NULL, author VARCHAR(255) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_pin PRIMARY KEY (id), 
	CONSTRAINT uq_pin_name_version UNIQUE (name, version)
);
INSERT INTO "pin" VALUES(1,'1','1','0000000000000000000000000000000000000000000000000000000000000001','1','1','2026-01-01 12:30:00.000000','1','1','1','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','1');
INSERT INTO "pin" VALUES(2,'2','2','0000000000000000000000000000000000000000000000000000000000000002','2','2','2026-01-02 12:30:00.000000','2','2','2','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','2');
CREATE TABLE pin_event (
	id INTEGER NOT NULL, 
	pin_id INTEGER NOT NULL, 
	tag VARCHAR(255) NOT NULL, 
	stage VARCHAR(255), 
	author VARCHAR(255) NOT NULL, 
	happened_at DATETIME NOT NULL, 
	CONSTRAINT pk_pin_event PRIMARY KEY (id), 
	CONSTRAINT fk_pin_event_pin_id_pin FOREIGN KEY(pin_id) REFERENCES pin (id) ON DELETE CASCADE, 
	CONSTRAINT uq_pin_event_tag UNIQUE (tag)
);
INSERT INTO "pin_event" VALUES(1,1,'1','1','1','2026-01-01 12:30:00.000000');
INSERT INTO "pin_event" VALUES(2,2,'2','2','2','2026-01-02 12:30:00.000000');
CREATE TABLE placement (
	id INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	sample_id INTEGER NOT NULL, 
	configuration_id INTEGER NOT NULL, 
	item_id INTEGER NOT NULL, 
	CONSTRAINT pk_placement PRIMARY KEY (id), 
	CONSTRAINT fk_placement_configuration_id_configuration FOREIGN KEY(configuration_id) REFERENCES configuration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_placement_item_id_item FOREIGN KEY(item_id) REFERENCES item (id) ON DELETE CASCADE, 
	CONSTRAINT fk_placement_sample_id_sample FOREIGN KEY(sample_id) REFERENCES sample (id) ON DELETE CASCADE, 
	CONSTRAINT uq_placement_configuration_id_sample_id_kind UNIQUE (configuration_id, sample_id, kind)
);
INSERT INTO "placement" VALUES(1,'1',1,1,1);
INSERT INTO "placement" VALUES(2,'2',2,2,2);
CREATE TABLE published (
	id INTEGER NOT NULL, 
	paper VARCHAR(255) NOT NULL, 
	"table" VARCHAR(32) NOT NULL, 
	"row" VARCHAR(255) NOT NULL, 
	metric VARCHAR(32) NOT NULL, 
	value DOUBLE NOT NULL, 
	unit VARCHAR(64) NOT NULL, corpus VARCHAR(255) NOT NULL, degradation VARCHAR(255), inpainter VARCHAR(255), captioner VARCHAR(255), region VARCHAR(16) NOT NULL, decimals INTEGER NOT NULL, change DOUBLE, recaptioner VARCHAR(255), painter VARCHAR(255), training VARCHAR(255), 
	CONSTRAINT pk_published PRIMARY KEY (id), 
	CONSTRAINT uq_published_paper_table_row_metric UNIQUE (paper, "table", "row", metric)
);
INSERT INTO "published" VALUES(1,'1','1','1','1',0.125,'1','1','1','1','1','1',1,0.125,'1','1','1');
INSERT INTO "published" VALUES(2,'2','2','2','2',0.25,'2','2','2','2','2','2',2,0.25,'2','2','2');
CREATE TABLE reference (
	id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_reference PRIMARY KEY (id), 
	CONSTRAINT fk_reference_sample_id_sample FOREIGN KEY(sample_id) REFERENCES sample (id) ON DELETE CASCADE, 
	CONSTRAINT uq_reference_sample_id_position UNIQUE (sample_id, position)
);
INSERT INTO "reference" VALUES(1,1,1,'1');
INSERT INTO "reference" VALUES(2,2,2,'2');
CREATE TABLE run (
	id VARCHAR(32) NOT NULL, 
	stage VARCHAR(255) NOT NULL, 
	git_commit VARCHAR(64) NOT NULL, 
	device VARCHAR(255) NOT NULL, 
	engine VARCHAR(32) NOT NULL, 
	started_at DATETIME NOT NULL, 
	CONSTRAINT pk_run PRIMARY KEY (id)
);
INSERT INTO "run" VALUES('1','1','1','1','1','2026-01-01 12:30:00.000000');
INSERT INTO "run" VALUES('2','2','2','2','2','2026-01-02 12:30:00.000000');
CREATE TABLE sample (
	id INTEGER NOT NULL, 
	corpus_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	split VARCHAR(32) NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	annotations JSON NOT NULL, 
	CONSTRAINT pk_sample PRIMARY KEY (id), 
	CONSTRAINT fk_sample_corpus_id_corpus FOREIGN KEY(corpus_id) REFERENCES corpus (id) ON DELETE CASCADE, 
	CONSTRAINT uq_sample_corpus_id_name UNIQUE (corpus_id, name)
);
INSERT INTO "sample" VALUES(1,1,'1','1',1,1,'{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO "sample" VALUES(2,2,'2','2',2,2,'{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
CREATE TABLE study (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	params JSON NOT NULL, links JSON, 
	CONSTRAINT pk_study PRIMARY KEY (id), 
	CONSTRAINT uq_study_name UNIQUE (name)
);
INSERT INTO "study" VALUES(1,'1','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO "study" VALUES(2,'2','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}','{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
CREATE TABLE summary (
	corpus_id INTEGER NOT NULL, 
	configuration_id INTEGER NOT NULL, 
	metric VARCHAR(32) NOT NULL, 
	value DOUBLE, 
	items INTEGER NOT NULL, 
	CONSTRAINT pk_summary PRIMARY KEY (corpus_id, configuration_id, metric), 
	CONSTRAINT fk_summary_configuration_id_configuration FOREIGN KEY(configuration_id) REFERENCES configuration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_summary_corpus_id_corpus FOREIGN KEY(corpus_id) REFERENCES corpus (id) ON DELETE CASCADE
);
INSERT INTO "summary" VALUES(1,1,'1',0.125,1);
INSERT INTO "summary" VALUES(2,2,'2',0.25,2);
CREATE INDEX ix_item_object ON item (object);
CREATE INDEX ix_item_run_id ON item (run_id);
CREATE INDEX ix_sample_corpus_id ON sample (corpus_id);
CREATE INDEX ix_parent_parent_id ON parent (parent_id);
CREATE INDEX ix_placement_item_id ON placement (item_id);
CREATE INDEX ix_placement_sample_id ON placement (sample_id);
CREATE INDEX ix_reference_sample_id ON reference (sample_id);
CREATE INDEX ix_pin_event_pin_id ON pin_event (pin_id);
CREATE INDEX ix_indexed_corpus_id ON "indexed" (corpus_id);
CREATE VIEW v_measurements AS SELECT study.name AS study, corpus.name AS corpus, sample.name AS sample, sample.split AS split,
    configuration.degradation AS degradation, configuration.inpainter AS inpainter,
    configuration.captioner AS captioner, configuration.recaptioner AS recaptioner, configuration.painter AS painter, configuration.training AS training,
    placement.kind AS kind, measurement.metric AS metric, nullif(measurement.region, '') AS region,
    nullif(measurement.layer, -1) AS layer, measurement.value AS value,
    item.key AS item, run.id AS run, run.stage AS stage, run.git_commit AS git_commit,
    run.device AS device, item.parts ->> 'measure' AS model
FROM cell
JOIN study ON study.id = cell.study_id
JOIN corpus ON corpus.id = cell.corpus_id
JOIN configuration ON configuration.id = cell.configuration_id
JOIN placement ON placement.configuration_id = cell.configuration_id
JOIN sample ON sample.id = placement.sample_id AND sample.corpus_id = cell.corpus_id
JOIN item ON item.id = placement.item_id
JOIN run ON run.id = item.run_id
JOIN measurement ON measurement.item_id = item.id;
CREATE VIEW v_captions AS SELECT study.name AS study, corpus.name AS corpus, sample.name AS sample, sample.split AS split,
    configuration.degradation AS degradation, configuration.inpainter AS inpainter,
    configuration.captioner AS captioner, configuration.recaptioner AS recaptioner, configuration.painter AS painter, configuration.training AS training,
    item.value ->> 'caption' AS caption, item.status AS status, item.reason AS reason,
    item.key AS item, run.id AS run, run.stage AS stage, run.git_commit AS git_commit,
    run.device AS device, coalesce(item.parts ->> 'model', item.parts ->> 'method') AS model,
    item.parts ->> 'prompt' AS prompt
FROM cell
JOIN study ON study.id = cell.study_id
JOIN corpus ON corpus.id = cell.corpus_id
JOIN configuration ON configuration.id = cell.configuration_id
JOIN placement ON placement.configuration_id = cell.configuration_id
JOIN sample ON sample.id = placement.sample_id AND sample.corpus_id = cell.corpus_id
JOIN item ON item.id = placement.item_id
JOIN run ON run.id = item.run_id
WHERE placement.kind IN ('caption', 'recaption');
CREATE VIEW v_images AS SELECT study.name AS study, corpus.name AS corpus, sample.name AS sample, sample.split AS split,
    configuration.degradation AS degradation, configuration.inpainter AS inpainter,
    configuration.captioner AS captioner, configuration.recaptioner AS recaptioner, configuration.painter AS painter, configuration.training AS training,
    placement.kind AS kind, item.object AS object, sample.width AS width, sample.height AS height,
    item.status AS status, item.reason AS reason,
    item.key AS item, run.id AS run, run.stage AS stage, run.git_commit AS git_commit,
    run.device AS device, item.parts ->> 'model' AS model, item.parts ->> 'prompt' AS prompt
FROM cell
JOIN study ON study.id = cell.study_id
JOIN corpus ON corpus.id = cell.corpus_id
JOIN configuration ON configuration.id = cell.configuration_id
JOIN placement ON placement.configuration_id = cell.configuration_id
JOIN sample ON sample.id = placement.sample_id AND sample.corpus_id = cell.corpus_id
JOIN item ON item.id = placement.item_id
JOIN run ON run.id = item.run_id
WHERE placement.kind IN ('original', 'degraded', 'repainted');
CREATE INDEX ix_item_failed ON item (id) WHERE status = 'failed';
COMMIT;
