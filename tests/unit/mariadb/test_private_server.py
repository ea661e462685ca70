"""How much memory a drill's server takes: a share of what is free, within the limits of a container or a service."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.mariadb.host.data_options import pool

GIB, MIB = 1 << 30, 1 << 20
UNLIMITED_1 = "9223372036854771712"  # what version 1 of control groups says where there is no limit


@pytest.mark.parametrize(
    ("free", "groups", "expected"),
    [
        (4 * GIB, {}, 512 * MIB),
        (64 * GIB, {}, GIB),
        (100 * MIB, {}, 64 * MIB),
        (64 * GIB, {"memory.max": str(GIB)}, 128 * MIB),  # a pod, which sees its own group as the root
        (64 * GIB, {"memory.max": "max"}, GIB),
        (64 * GIB, {"system.slice/b.service/memory.max": "max", "system.slice/memory.max": str(2 * GIB)}, 256 * MIB),
        (64 * GIB, {"system.slice/b.service/memory.max": str(100 * MIB)}, 64 * MIB),
        (64 * GIB, {"memory/memory.limit_in_bytes": str(GIB)}, 128 * MIB),
        (64 * GIB, {"memory/memory.limit_in_bytes": UNLIMITED_1}, GIB),
        (4 * GIB, {"other.slice/memory.max": str(GIB)}, 512 * MIB),
    ],
)
def test_the_buffer_pool_fits_where_the_drill_runs(
    tmp_path: Path, free: int, groups: Mapping[str, str], expected: int
) -> None:
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {free // 1024} kB\n")
    (proc / "self/cgroup").write_text("0::/system.slice/b.service\n")
    for name, text in groups.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    assert pool(proc, tmp_path / "cgroup") == expected
