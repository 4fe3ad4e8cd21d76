SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.cell (
    study_id integer NOT NULL,
    corpus_id integer NOT NULL,
    configuration_id integer NOT NULL
);
CREATE TABLE public.configuration (
    id integer NOT NULL,
    digest character varying(64) NOT NULL,
    degradation character varying(255),
    inpainter character varying(255),
    captioner character varying(255),
    settings json NOT NULL,
    recaptioner character varying(255),
    painter character varying(255),
    training character varying(255)
);
CREATE SEQUENCE public.configuration_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.configuration_id_seq OWNED BY public.configuration.id;
CREATE TABLE public.corpus (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    settings json NOT NULL,
    problems json NOT NULL
);
CREATE SEQUENCE public.corpus_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.corpus_id_seq OWNED BY public.corpus.id;
CREATE TABLE public.indexed (
    path text NOT NULL,
    corpus_id integer NOT NULL,
    digest character varying(64) NOT NULL,
    placed character varying(64) NOT NULL
);
CREATE TABLE public.item (
    id integer NOT NULL,
    key character varying(64) NOT NULL,
    kind character varying(32) NOT NULL,
    status character varying(8) NOT NULL,
    reason text,
    value json,
    object character varying(64),
    parts json NOT NULL,
    run_id character varying(32) NOT NULL,
    digest character varying(64)
);
CREATE SEQUENCE public.item_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.item_id_seq OWNED BY public.item.id;
CREATE TABLE public.lease (
    key character varying(64) NOT NULL,
    owner text NOT NULL,
    expires double precision NOT NULL
);
CREATE TABLE public.measurement (
    item_id integer NOT NULL,
    metric character varying(32) NOT NULL,
    region character varying(16) NOT NULL,
    layer integer NOT NULL,
    value double precision
);
CREATE TABLE public.metric (
    name character varying(32) NOT NULL,
    "position" integer NOT NULL,
    about character varying(32) NOT NULL,
    label character varying(64) NOT NULL,
    higher_is_better boolean,
    low double precision,
    high double precision,
    unit character varying(64) NOT NULL,
    definition text NOT NULL,
    decimals integer NOT NULL,
    checkpoint boolean NOT NULL
);
CREATE TABLE public.model (
    id integer NOT NULL,
    role character varying(32) NOT NULL,
    name character varying(255) NOT NULL,
    digest character varying(64) NOT NULL,
    settings json NOT NULL
);
CREATE SEQUENCE public.model_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.model_id_seq OWNED BY public.model.id;
CREATE TABLE public.parent (
    item_id integer NOT NULL,
    parent_id integer NOT NULL
);
CREATE TABLE public.pin (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    version character varying(64) NOT NULL,
    digest character varying(64) NOT NULL,
    path text NOT NULL,
    git_commit character varying(64) NOT NULL,
    pinned_at timestamp with time zone NOT NULL,
    kind character varying(32) DEFAULT 'data'::character varying NOT NULL,
    md5 character varying(64),
    study character varying(255),
    runs json DEFAULT '[]'::json NOT NULL,
    author character varying(255) DEFAULT ''::character varying NOT NULL
);
CREATE TABLE public.pin_event (
    id integer NOT NULL,
    pin_id integer NOT NULL,
    tag character varying(255) NOT NULL,
    stage character varying(255),
    author character varying(255) NOT NULL,
    happened_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.pin_event_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.pin_event_id_seq OWNED BY public.pin_event.id;
CREATE SEQUENCE public.pin_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.pin_id_seq OWNED BY public.pin.id;
CREATE TABLE public.placement (
    id integer NOT NULL,
    kind character varying(32) NOT NULL,
    sample_id integer NOT NULL,
    configuration_id integer NOT NULL,
    item_id integer NOT NULL
);
CREATE SEQUENCE public.placement_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.placement_id_seq OWNED BY public.placement.id;
CREATE TABLE public.published (
    id integer NOT NULL,
    paper character varying(255) NOT NULL,
    "table" character varying(32) NOT NULL,
    "row" character varying(255) NOT NULL,
    metric character varying(32) NOT NULL,
    value double precision NOT NULL,
    unit character varying(64) NOT NULL,
    corpus character varying(255) NOT NULL,
    degradation character varying(255),
    inpainter character varying(255),
    captioner character varying(255),
    region character varying(16) NOT NULL,
    decimals integer NOT NULL,
    change double precision,
    recaptioner character varying(255),
    painter character varying(255),
    training character varying(255)
);
CREATE SEQUENCE public.published_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.published_id_seq OWNED BY public.published.id;
CREATE TABLE public.reference (
    id integer NOT NULL,
    sample_id integer NOT NULL,
    "position" integer NOT NULL,
    text text NOT NULL
);
CREATE SEQUENCE public.reference_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.reference_id_seq OWNED BY public.reference.id;
CREATE TABLE public.run (
    id character varying(32) NOT NULL,
    stage character varying(255) NOT NULL,
    git_commit character varying(64) NOT NULL,
    device character varying(255) NOT NULL,
    engine character varying(32) NOT NULL,
    started_at timestamp with time zone NOT NULL
);
CREATE TABLE public.sample (
    id integer NOT NULL,
    corpus_id integer NOT NULL,
    name character varying(255) NOT NULL,
    split character varying(32) NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    annotations json NOT NULL
);
CREATE SEQUENCE public.sample_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sample_id_seq OWNED BY public.sample.id;
CREATE TABLE public.study (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    params json NOT NULL,
    links json
);
CREATE SEQUENCE public.study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.study_id_seq OWNED BY public.study.id;
CREATE TABLE public.summary (
    corpus_id integer NOT NULL,
    configuration_id integer NOT NULL,
    metric character varying(32) NOT NULL,
    value double precision,
    items integer NOT NULL
);
CREATE VIEW public.v_captions AS
 SELECT study.name AS study,
    corpus.name AS corpus,
    sample.name AS sample,
    sample.split,
    configuration.degradation,
    configuration.inpainter,
    configuration.captioner,
    configuration.recaptioner,
    configuration.painter,
    configuration.training,
    (item.value ->> 'caption'::text) AS caption,
    item.status,
    item.reason,
    item.key AS item,
    run.id AS run,
    run.stage,
    run.git_commit,
    run.device,
    COALESCE((item.parts ->> 'model'::text), (item.parts ->> 'method'::text)) AS model,
    (item.parts ->> 'prompt'::text) AS prompt
   FROM (((((((public.cell
     JOIN public.study ON ((study.id = cell.study_id)))
     JOIN public.corpus ON ((corpus.id = cell.corpus_id)))
     JOIN public.configuration ON ((configuration.id = cell.configuration_id)))
     JOIN public.placement ON ((placement.configuration_id = cell.configuration_id)))
     JOIN public.sample ON (((sample.id = placement.sample_id) AND (sample.corpus_id = cell.corpus_id))))
     JOIN public.item ON ((item.id = placement.item_id)))
     JOIN public.run ON (((run.id)::text = (item.run_id)::text)))
  WHERE ((placement.kind)::text = ANY ((ARRAY['caption'::character varying, 'recaption'::character varying])::text[]));
CREATE VIEW public.v_images AS
 SELECT study.name AS study,
    corpus.name AS corpus,
    sample.name AS sample,
    sample.split,
    configuration.degradation,
    configuration.inpainter,
    configuration.captioner,
    configuration.recaptioner,
    configuration.painter,
    configuration.training,
    placement.kind,
    item.object,
    sample.width,
    sample.height,
    item.status,
    item.reason,
    item.key AS item,
    run.id AS run,
    run.stage,
    run.git_commit,
    run.device,
    (item.parts ->> 'model'::text) AS model,
    (item.parts ->> 'prompt'::text) AS prompt
   FROM (((((((public.cell
     JOIN public.study ON ((study.id = cell.study_id)))
     JOIN public.corpus ON ((corpus.id = cell.corpus_id)))
     JOIN public.configuration ON ((configuration.id = cell.configuration_id)))
     JOIN public.placement ON ((placement.configuration_id = cell.configuration_id)))
     JOIN public.sample ON (((sample.id = placement.sample_id) AND (sample.corpus_id = cell.corpus_id))))
     JOIN public.item ON ((item.id = placement.item_id)))
     JOIN public.run ON (((run.id)::text = (item.run_id)::text)))
  WHERE ((placement.kind)::text = ANY ((ARRAY['original'::character varying, 'degraded'::character varying, 'repainted'::character varying])::text[]));
CREATE VIEW public.v_measurements AS
 SELECT study.name AS study,
    corpus.name AS corpus,
    sample.name AS sample,
    sample.split,
    configuration.degradation,
    configuration.inpainter,
    configuration.captioner,
    configuration.recaptioner,
    configuration.painter,
    configuration.training,
    placement.kind,
    measurement.metric,
    NULLIF((measurement.region)::text, ''::text) AS region,
    NULLIF(measurement.layer, '-1'::integer) AS layer,
    measurement.value,
    item.key AS item,
    run.id AS run,
    run.stage,
    run.git_commit,
    run.device,
    (item.parts ->> 'measure'::text) AS model
   FROM ((((((((public.cell
     JOIN public.study ON ((study.id = cell.study_id)))
     JOIN public.corpus ON ((corpus.id = cell.corpus_id)))
     JOIN public.configuration ON ((configuration.id = cell.configuration_id)))
     JOIN public.placement ON ((placement.configuration_id = cell.configuration_id)))
     JOIN public.sample ON (((sample.id = placement.sample_id) AND (sample.corpus_id = cell.corpus_id))))
     JOIN public.item ON ((item.id = placement.item_id)))
     JOIN public.run ON (((run.id)::text = (item.run_id)::text)))
     JOIN public.measurement ON ((measurement.item_id = item.id)));
ALTER TABLE ONLY public.configuration ALTER COLUMN id SET DEFAULT nextval('public.configuration_id_seq'::regclass);
ALTER TABLE ONLY public.corpus ALTER COLUMN id SET DEFAULT nextval('public.corpus_id_seq'::regclass);
ALTER TABLE ONLY public.item ALTER COLUMN id SET DEFAULT nextval('public.item_id_seq'::regclass);
ALTER TABLE ONLY public.model ALTER COLUMN id SET DEFAULT nextval('public.model_id_seq'::regclass);
ALTER TABLE ONLY public.pin ALTER COLUMN id SET DEFAULT nextval('public.pin_id_seq'::regclass);
ALTER TABLE ONLY public.pin_event ALTER COLUMN id SET DEFAULT nextval('public.pin_event_id_seq'::regclass);
ALTER TABLE ONLY public.placement ALTER COLUMN id SET DEFAULT nextval('public.placement_id_seq'::regclass);
ALTER TABLE ONLY public.published ALTER COLUMN id SET DEFAULT nextval('public.published_id_seq'::regclass);
ALTER TABLE ONLY public.reference ALTER COLUMN id SET DEFAULT nextval('public.reference_id_seq'::regclass);
ALTER TABLE ONLY public.sample ALTER COLUMN id SET DEFAULT nextval('public.sample_id_seq'::regclass);
ALTER TABLE ONLY public.study ALTER COLUMN id SET DEFAULT nextval('public.study_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0012');
INSERT INTO public.cell VALUES (1, 1, 1);
INSERT INTO public.cell VALUES (2, 2, 2);
INSERT INTO public.configuration VALUES (1, '0000000000000000000000000000000000000000000000000000000000000001', '1', '1', '1', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '1', '1', '1');
INSERT INTO public.configuration VALUES (2, '0000000000000000000000000000000000000000000000000000000000000002', '2', '2', '2', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '2', '2', '2');
INSERT INTO public.corpus VALUES (1, '1', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.corpus VALUES (2, '2', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.indexed VALUES ('1', 1, '0000000000000000000000000000000000000000000000000000000000000001', '1');
INSERT INTO public.indexed VALUES ('2', 2, '0000000000000000000000000000000000000000000000000000000000000002', '2');
INSERT INTO public.item VALUES (1, '0000000000000000000000000000000000000000000000000000000000000001', '1', '1', '1', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '0000000000000000000000000000000000000000000000000000000000000001', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '1', '90ac754b293690962bf9261cabe55d0bc121fcaf8e0b9d63960bf3e2d85764a8');
INSERT INTO public.item VALUES (2, '0000000000000000000000000000000000000000000000000000000000000002', '2', '2', '2', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '0000000000000000000000000000000000000000000000000000000000000002', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '2', '0cfb55343b7036c9184a3a06781fef5b69c5495adf79cd5930bcebd815461aed');
INSERT INTO public.lease VALUES ('0000000000000000000000000000000000000000000000000000000000000001', '1', 0.125);
INSERT INTO public.lease VALUES ('0000000000000000000000000000000000000000000000000000000000000002', '2', 0.25);
INSERT INTO public.measurement VALUES (1, '1', '1', 1, 0.125);
INSERT INTO public.measurement VALUES (2, '2', '2', 2, 0.25);
INSERT INTO public.metric VALUES ('1', 1, '1', '1', false, 0.125, 0.125, '1', '1', 1, false);
INSERT INTO public.metric VALUES ('2', 2, '2', '2', true, 0.25, 0.25, '2', '2', 2, true);
INSERT INTO public.model VALUES (1, '1', '1', '0000000000000000000000000000000000000000000000000000000000000001', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.model VALUES (2, '2', '2', '0000000000000000000000000000000000000000000000000000000000000002', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.parent VALUES (1, 1);
INSERT INTO public.parent VALUES (2, 2);
INSERT INTO public.pin VALUES (1, '1', '1', '0000000000000000000000000000000000000000000000000000000000000001', '1', '1', '2026-01-01 18:15:00+05:45', '1', '1', '1', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '1');
INSERT INTO public.pin VALUES (2, '2', '2', '0000000000000000000000000000000000000000000000000000000000000002', '2', '2', '2026-01-02 18:15:00+05:45', '2', '2', '2', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '2');
INSERT INTO public.pin_event VALUES (1, 1, '1', '1', '1', '2026-01-01 18:15:00+05:45');
INSERT INTO public.pin_event VALUES (2, 2, '2', '2', '2', '2026-01-02 18:15:00+05:45');
INSERT INTO public.placement VALUES (1, '1', 1, 1, 1);
INSERT INTO public.placement VALUES (2, '2', 2, 2, 2);
INSERT INTO public.published VALUES (1, '1', '1', '1', '1', 0.125, '1', '1', '1', '1', '1', '1', 1, 0.125, '1', '1', '1');
INSERT INTO public.published VALUES (2, '2', '2', '2', '2', 0.25, '2', '2', '2', '2', '2', '2', 2, 0.25, '2', '2', '2');
INSERT INTO public.reference VALUES (1, 1, 1, '1');
INSERT INTO public.reference VALUES (2, 2, 2, '2');
INSERT INTO public.run VALUES ('1', '1', '1', '1', '1', '2026-01-01 18:15:00+05:45');
INSERT INTO public.run VALUES ('2', '2', '2', '2', '2', '2026-01-02 18:15:00+05:45');
INSERT INTO public.sample VALUES (1, 1, '1', '1', 1, 1, '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.sample VALUES (2, 2, '2', '2', 2, 2, '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.study VALUES (1, '1', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '{"number": 1, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.study VALUES (2, '2', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}', '{"number": 2, "text": "\ud83d\udc08 ''\u0642\u0637\u0629''"}');
INSERT INTO public.summary VALUES (1, 1, '1', 0.125, 1);
INSERT INTO public.summary VALUES (2, 2, '2', 0.25, 2);
SELECT pg_catalog.setval('public.configuration_id_seq', 2, true);
SELECT pg_catalog.setval('public.corpus_id_seq', 2, true);
SELECT pg_catalog.setval('public.item_id_seq', 2, true);
SELECT pg_catalog.setval('public.model_id_seq', 2, true);
SELECT pg_catalog.setval('public.pin_event_id_seq', 2, true);
SELECT pg_catalog.setval('public.pin_id_seq', 2, true);
SELECT pg_catalog.setval('public.placement_id_seq', 2, true);
SELECT pg_catalog.setval('public.published_id_seq', 2, true);
SELECT pg_catalog.setval('public.reference_id_seq', 2, true);
SELECT pg_catalog.setval('public.sample_id_seq', 2, true);
SELECT pg_catalog.setval('public.study_id_seq', 2, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.cell
    ADD CONSTRAINT pk_cell PRIMARY KEY (study_id, corpus_id, configuration_id);
ALTER TABLE ONLY public.configuration
    ADD CONSTRAINT pk_configuration PRIMARY KEY (id);
ALTER TABLE ONLY public.corpus
    ADD CONSTRAINT pk_corpus PRIMARY KEY (id);
ALTER TABLE ONLY public.indexed
    ADD CONSTRAINT pk_indexed PRIMARY KEY (path);
ALTER TABLE ONLY public.item
    ADD CONSTRAINT pk_item PRIMARY KEY (id);
ALTER TABLE ONLY public.lease
    ADD CONSTRAINT pk_lease PRIMARY KEY (key);
ALTER TABLE ONLY public.measurement
    ADD CONSTRAINT pk_measurement PRIMARY KEY (item_id, metric, region, layer);
ALTER TABLE ONLY public.metric
    ADD CONSTRAINT pk_metric PRIMARY KEY (name);
ALTER TABLE ONLY public.model
    ADD CONSTRAINT pk_model PRIMARY KEY (id);
ALTER TABLE ONLY public.parent
    ADD CONSTRAINT pk_parent PRIMARY KEY (item_id, parent_id);
ALTER TABLE ONLY public.pin
    ADD CONSTRAINT pk_pin PRIMARY KEY (id);
ALTER TABLE ONLY public.pin_event
    ADD CONSTRAINT pk_pin_event PRIMARY KEY (id);
ALTER TABLE ONLY public.placement
    ADD CONSTRAINT pk_placement PRIMARY KEY (id);
ALTER TABLE ONLY public.published
    ADD CONSTRAINT pk_published PRIMARY KEY (id);
ALTER TABLE ONLY public.reference
    ADD CONSTRAINT pk_reference PRIMARY KEY (id);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT pk_run PRIMARY KEY (id);
ALTER TABLE ONLY public.sample
    ADD CONSTRAINT pk_sample PRIMARY KEY (id);
ALTER TABLE ONLY public.study
    ADD CONSTRAINT pk_study PRIMARY KEY (id);
ALTER TABLE ONLY public.summary
    ADD CONSTRAINT pk_summary PRIMARY KEY (corpus_id, configuration_id, metric);
ALTER TABLE ONLY public.configuration
    ADD CONSTRAINT uq_configuration_digest UNIQUE (digest);
ALTER TABLE ONLY public.corpus
    ADD CONSTRAINT uq_corpus_name UNIQUE (name);
ALTER TABLE ONLY public.item
    ADD CONSTRAINT uq_item_key UNIQUE (key);
ALTER TABLE ONLY public.model
    ADD CONSTRAINT uq_model_role_name_digest UNIQUE (role, name, digest);
ALTER TABLE ONLY public.pin_event
    ADD CONSTRAINT uq_pin_event_tag UNIQUE (tag);
ALTER TABLE ONLY public.pin
    ADD CONSTRAINT uq_pin_name_version UNIQUE (name, version);
ALTER TABLE ONLY public.placement
    ADD CONSTRAINT uq_placement_configuration_id_sample_id_kind UNIQUE (configuration_id, sample_id, kind);
ALTER TABLE ONLY public.published
    ADD CONSTRAINT uq_published_paper_table_row_metric UNIQUE (paper, "table", "row", metric);
ALTER TABLE ONLY public.reference
    ADD CONSTRAINT uq_reference_sample_id_position UNIQUE (sample_id, "position");
ALTER TABLE ONLY public.sample
    ADD CONSTRAINT uq_sample_corpus_id_name UNIQUE (corpus_id, name);
ALTER TABLE ONLY public.study
    ADD CONSTRAINT uq_study_name UNIQUE (name);
CREATE INDEX ix_indexed_corpus_id ON public.indexed USING btree (corpus_id);
CREATE INDEX ix_item_failed ON public.item USING btree (id) WHERE ((status)::text = 'failed'::text);
CREATE INDEX ix_item_object ON public.item USING btree (object);
CREATE INDEX ix_item_run_id ON public.item USING btree (run_id);
CREATE INDEX ix_parent_parent_id ON public.parent USING btree (parent_id);
CREATE INDEX ix_pin_event_pin_id ON public.pin_event USING btree (pin_id);
CREATE INDEX ix_placement_item_id ON public.placement USING btree (item_id);
CREATE INDEX ix_placement_sample_id ON public.placement USING btree (sample_id);
CREATE INDEX ix_reference_sample_id ON public.reference USING btree (sample_id);
CREATE INDEX ix_sample_corpus_id ON public.sample USING btree (corpus_id);
ALTER TABLE ONLY public.cell
    ADD CONSTRAINT fk_cell_configuration_id_configuration FOREIGN KEY (configuration_id) REFERENCES public.configuration(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.cell
    ADD CONSTRAINT fk_cell_corpus_id_corpus FOREIGN KEY (corpus_id) REFERENCES public.corpus(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.cell
    ADD CONSTRAINT fk_cell_study_id_study FOREIGN KEY (study_id) REFERENCES public.study(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.indexed
    ADD CONSTRAINT fk_indexed_corpus_id_corpus FOREIGN KEY (corpus_id) REFERENCES public.corpus(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.item
    ADD CONSTRAINT fk_item_run_id_run FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.measurement
    ADD CONSTRAINT fk_measurement_item_id_item FOREIGN KEY (item_id) REFERENCES public.item(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.parent
    ADD CONSTRAINT fk_parent_item_id_item FOREIGN KEY (item_id) REFERENCES public.item(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.parent
    ADD CONSTRAINT fk_parent_parent_id_item FOREIGN KEY (parent_id) REFERENCES public.item(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.pin_event
    ADD CONSTRAINT fk_pin_event_pin_id_pin FOREIGN KEY (pin_id) REFERENCES public.pin(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.placement
    ADD CONSTRAINT fk_placement_configuration_id_configuration FOREIGN KEY (configuration_id) REFERENCES public.configuration(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.placement
    ADD CONSTRAINT fk_placement_item_id_item FOREIGN KEY (item_id) REFERENCES public.item(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.placement
    ADD CONSTRAINT fk_placement_sample_id_sample FOREIGN KEY (sample_id) REFERENCES public.sample(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.reference
    ADD CONSTRAINT fk_reference_sample_id_sample FOREIGN KEY (sample_id) REFERENCES public.sample(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sample
    ADD CONSTRAINT fk_sample_corpus_id_corpus FOREIGN KEY (corpus_id) REFERENCES public.corpus(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.summary
    ADD CONSTRAINT fk_summary_configuration_id_configuration FOREIGN KEY (configuration_id) REFERENCES public.configuration(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.summary
    ADD CONSTRAINT fk_summary_corpus_id_corpus FOREIGN KEY (corpus_id) REFERENCES public.corpus(id) ON DELETE CASCADE;
