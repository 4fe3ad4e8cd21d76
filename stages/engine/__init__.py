"""What all stages share: the loop, shards, provenance, contact sheets, and the study with its entries."""
