"""How fast, how heavy, how large: the snapshot engine beside PostgreSQL's own tools on a generated database.

`make bench` prints one table and writes build/bench/bench.json; `python -m tests.bench --help` tells how to have less
of it. `python -m tests.bench.page` writes the numbers of the last run into docs/performance.md.

| module | what |
|---|---|
| generate | rows by SQL: as much history as asked for, over the same state |
| setting | the servers: a PostgreSQL cluster, S3 and KMS; databases to read from and to restore into |
| contenders | what is measured, and what each needs before and leaves behind |
| work, row_wise, sink | one piece of work in a process of its own; the way of AWS's sample; a local folder as S3 |
| parts | where the time of our own work goes |
| measure | seconds, memory and CPU seconds of processes |
| beside | a session that does what a scheduler does, and how long it has to wait |
| results, chart, page | medians, ratios, table, JSON; curves; docs/performance.md |
"""
