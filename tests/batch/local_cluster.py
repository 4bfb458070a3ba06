"""A Dask cluster of this machine: two workers of one thread. Prints its address, and lives until its input ends."""

from __future__ import annotations

import sys

from distributed import LocalCluster


def main() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
