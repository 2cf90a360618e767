"""Asks DuckDB about an archive of 500 plain traces and one span with something in every column."""

import sys
from datetime import datetime, timezone

import duckdb

spans = f"read_parquet('{sys.argv[1]}/*/*/*.parquet', hive_partitioning = true)"


def ask(question):
    return duckdb.sql(question.format(spans=spans)).fetchall()


def expect(question, answer):
    found = ask(question)
    assert found == answer, f"{question}\n  expected {answer}\n  found    {found}"


duckdb.sql("SET TimeZone = 'UTC'")
expect("SELECT count(*), count(DISTINCT trace_id) FROM {spans}", [(1001, 501)])
expect(
    "SELECT date::VARCHAR, hour::VARCHAR, count(*) FROM {spans} GROUP BY ALL ORDER BY ALL",
    [("2026-11-21", "13", 1000), ("2026-11-21", "14", 1)],
)
expect("SELECT count(*) FROM {spans} WHERE parent_span_id IS NULL", [(500,)])
expect("SELECT count(*) FROM {spans} WHERE attributes['http.route'] = '/cart'", [(1000,)])
expect("SELECT span_id, service FROM {spans} WHERE attributes['id'] = '77' ORDER BY ALL",
       [("0000000000000001", "shop"), ("0000000000000002", "shop")])
full = "FROM {spans} WHERE span_id = '00000000000000b2'"
expect(f"SELECT attributes['a'], attributes['s'], resource_attributes['host.name'] {full}",
       [('[1,"NaN",null]', "new", "a")])
expect(f"SELECT cardinality(attributes), length(events), length(links) {full}", [(7, 2, 1)])
expect(f"SELECT events[1].name, events[1].attributes['f'], events[2].attributes {full}",
       [("first", "2", {})])
expect(f"SELECT links[1].span_id, links[1].attributes['why'] {full}", [("00000000000000e5", "retry")])
expect(f"SELECT kind, status, status_message, verdict, revision, flags {full}",
       [("server", "error", "timeout", "complete", 1, 257)])
expect(f"SELECT epoch_ns('end') - epoch_ns(start), duration_ns {full}".replace("'end'", '"end"'),
       [(1_000_000, 1_000_000)])
begin = datetime(2026, 11, 21, 13, 59, 58, tzinfo=timezone.utc)
expect("SELECT min(start)::TIMESTAMPTZ, max(events[1].time)::TIMESTAMPTZ FROM {spans}", [(begin, begin)])
expect("SELECT min(sealed_at)::TIMESTAMPTZ FROM {spans}", [(begin.replace(second=59),)])
types = dict(ask("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {spans})"))
assert types["attributes"] == "MAP(VARCHAR, VARCHAR)", types
assert types["start"].startswith("TIMESTAMP"), types
print("DuckDB", duckdb.__version__, "reads the archive:", types["start"], types["events"])
