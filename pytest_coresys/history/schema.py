"""One schema for every database, in the words that both understand, and the steps that lead to it from older ones."""

from __future__ import annotations

from collections.abc import Sequence

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE coresys_runs (
            id VARCHAR(400) PRIMARY KEY, started VARCHAR(40) NOT NULL, duration DOUBLE PRECISION NOT NULL,
            mode VARCHAR(20) NOT NULL, python VARCHAR(100) NOT NULL, coresys VARCHAR(100) NOT NULL,
            machine VARCHAR(40) NOT NULL, cpu TEXT NOT NULL, commit_id VARCHAR(64) NOT NULL,
            tests INTEGER NOT NULL, over_limit INTEGER NOT NULL, near_limit INTEGER NOT NULL,
            within_limit INTEGER NOT NULL, unmeasured INTEGER NOT NULL, compliant INTEGER NOT NULL)""",
        """CREATE TABLE coresys_measures (
            run_id VARCHAR(400) NOT NULL REFERENCES coresys_runs (id) ON DELETE CASCADE,
            nodeid TEXT NOT NULL, key VARCHAR(200) NOT NULL, value DOUBLE PRECISION NOT NULL,
            verdict VARCHAR(20) NOT NULL, PRIMARY KEY (run_id, nodeid, key))""",
        """CREATE TABLE coresys_criteria (
            run_id VARCHAR(400) NOT NULL REFERENCES coresys_runs (id) ON DELETE CASCADE,
            id VARCHAR(200) NOT NULL, value DOUBLE PRECISION NOT NULL, verdict VARCHAR(20) NOT NULL,
            samples INTEGER NOT NULL, PRIMARY KEY (run_id, id))""",
    ),
    (
        "ALTER TABLE coresys_runs ADD COLUMN profile VARCHAR(100) DEFAULT '' NOT NULL",
        "CREATE INDEX coresys_runs_by_machine ON coresys_runs (machine, started)",
        "CREATE INDEX coresys_measures_by_key ON coresys_measures (key, nodeid)",
        "CREATE INDEX coresys_criteria_by_id ON coresys_criteria (id)",
    ),
    (
        "ALTER TABLE coresys_runs ADD COLUMN merged TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE coresys_criteria ADD COLUMN unit VARCHAR(40) DEFAULT '' NOT NULL",
    ),
    (
        # A row for each measure in force, whatever came of it; value is NULL where there is no figure.
        """CREATE TABLE coresys_totals (
            run_id VARCHAR(400) NOT NULL REFERENCES coresys_runs (id) ON DELETE CASCADE,
            key VARCHAR(200) NOT NULL, value DOUBLE PRECISION, verdict VARCHAR(20) NOT NULL,
            unmeasured INTEGER NOT NULL, PRIMARY KEY (run_id, key))""",
        "CREATE INDEX coresys_totals_by_key ON coresys_totals (key)",
        # Whose figures are kept from then on, to see them go to zero: found without reading all there is.
        "CREATE INDEX coresys_measures_open ON coresys_measures (nodeid, key)"
        " WHERE verdict = 'over' OR verdict = 'suspected'",
    ),
)
"""Statements by version, the first of which makes version 1. None is ever changed: what is new is appended."""

VERSION = len(MIGRATIONS)

RUN_COLUMNS = ("id", "started", "duration", "mode", "profile", "python", "coresys", "machine", "cpu", "commit_id",
               "tests", "over_limit", "near_limit", "within_limit", "unmeasured", "merged", "compliant")  # fmt: skip

INSERT_RUN = (
    f"INSERT INTO coresys_runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in RUN_COLUMNS)})"
)
INSERT_MEASURE = (
    "INSERT INTO coresys_measures (run_id, nodeid, key, value, verdict) VALUES (:run, :nodeid, :key, :value, :verdict)"
)
INSERT_TOTAL = (
    "INSERT INTO coresys_totals (run_id, key, value, verdict, unmeasured)"
    " VALUES (:run, :key, :value, :verdict, :unmeasured)"
)
SELECT_OPEN = "SELECT DISTINCT nodeid, key FROM coresys_measures WHERE verdict = 'over' OR verdict = 'suspected'"
INSERT_CRITERION = (
    "INSERT INTO coresys_criteria (run_id, id, value, verdict, samples, unit)"
    " VALUES (:run, :id, :value, :verdict, :samples, :unit)"
)
_OF_MACHINE = "(:machine = '' OR r.machine = :machine)"
SELECT_RUNS = (
    f"SELECT {', '.join(f'r.{name}' for name in RUN_COLUMNS)} FROM coresys_runs r WHERE {_OF_MACHINE}"
    " ORDER BY r.started DESC, r.id DESC LIMIT :last"
)
SELECT_CRITERION = (
    "SELECT r.id, r.started, c.value, c.verdict FROM coresys_criteria c JOIN coresys_runs r ON r.id = c.run_id"
    f" WHERE c.id = :key AND {_OF_MACHINE} ORDER BY r.started DESC, r.id DESC LIMIT :last"
)
SELECT_TOTAL = (
    "SELECT r.id, r.started, t.value, t.verdict, t.unmeasured FROM coresys_totals t"
    f" JOIN coresys_runs r ON r.id = t.run_id WHERE t.key = :key AND {_OF_MACHINE}"
    " ORDER BY r.started DESC, r.id DESC LIMIT :last"
)
SELECT_MEASURE = (
    "SELECT r.id, r.started, MAX(m.value), MAX(CASE m.verdict WHEN 'over' THEN 4 WHEN 'suspected' THEN 3"
    " WHEN 'near' THEN 2 WHEN 'within' THEN 1 ELSE 0 END)"
    " FROM coresys_measures m JOIN coresys_runs r ON r.id = m.run_id"
    f" WHERE m.key = :key AND (:nodeid = '' OR m.nodeid = :nodeid) AND {_OF_MACHINE}"
    " GROUP BY r.id, r.started ORDER BY r.started DESC, r.id DESC LIMIT :last"
)
SELECT_IDS = "SELECT id, merged FROM coresys_runs"
SELECT_UNIT = (
    "SELECT c.unit FROM coresys_criteria c JOIN coresys_runs r ON r.id = c.run_id"
    " WHERE c.id = :key AND c.unit <> '' ORDER BY r.started DESC LIMIT 1"
)
SELECT_KEYS = (
    "SELECT DISTINCT key FROM coresys_measures UNION SELECT DISTINCT key FROM coresys_totals"
    " UNION SELECT DISTINCT id FROM coresys_criteria"
)
SELECT_OLD = (
    "SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY machine ORDER BY started DESC, id DESC) AS place"
    " FROM coresys_runs) AS ranked WHERE place > :keep"
)
DELETE_PARTS = (
    "DELETE FROM coresys_measures WHERE run_id = :id",
    "DELETE FROM coresys_totals WHERE run_id = :id",
    "DELETE FROM coresys_criteria WHERE run_id = :id",
    "DELETE FROM coresys_runs WHERE id = :id",
)
