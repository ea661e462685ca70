"""What a machine lacks is told apart from what is wrong with a dump (messages of PostgreSQL 12 to 17)."""

import pytest

from tasks.sources.dumps.host.postgresql_judge import lacking


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ('pg_restore: error: could not execute query: ERROR:  extension "postgis" is not available', "postgis"),
        ('ERROR:  could not open extension control file "/usr/share/postgresql/12/extension/hll.control": No', "hll"),
        ('ERROR:  could not access file "$libdir/postgis-3": No such file or directory', "postgis-3"),
        ("FATAL:  timescaledb must be preloaded via shared_preload_libraries", "timescaledb"),
        ('ERROR:  invalid LC_COLLATE locale name: "de_DE.UTF-8"', "de_DE.UTF-8"),
        ("pg_restore: error: unsupported version (1.16) in file header", "1.16"),
    ],
)
def test_what_the_machine_lacks_is_named(said: str, named: str) -> None:
    found = lacking(said, "15.18")
    assert found is not None
    assert (found.unable, named in str(found), "--to" in found.remedy) == (True, True, True)


@pytest.mark.parametrize(
    "said",
    [
        "pg_restore: error: could not read from input file: end of file",
        'ERROR:  relation "public.orders" does not exist',
        "pg_restore: error: did not find magic string in file header",
    ],
)
def test_a_dump_that_is_not_sound_is_no_fault_of_the_machine(said: str) -> None:
    assert lacking(said, "15.18") is None
