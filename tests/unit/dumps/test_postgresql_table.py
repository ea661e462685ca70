"""Which entries of a dump one table takes along, by what `pg_restore --list --verbose` prints (PostgreSQL 15)."""

import subprocess
from pathlib import Path

import pytest

from tasks.sources.dumps.host import postgresql_judge

PROGRAM = Path(postgresql_judge.__file__).parent / "postgresql_table.awk"
LISTED = """\
;
; Archive created at 2026-11-28 14:15:35 UTC
;     Format: CUSTOM
3396; 1262 16384 DATABASE - shop owner
848; 1247 16392 TYPE public mood owner
222; 1255 16390 FUNCTION public f() owner
220; 1259 16432 TABLE public child owner
214; 1259 16385 TABLE public customers owner
218; 1259 16423 SEQUENCE public free owner
217; 1259 16399 TABLE public orders owner
;\tdepends on: 218 848
3398; 0 0 COMMENT public COLUMN orders.v owner
;\tdepends on: 217
3399; 0 0 ACL public TABLE orders owner
;\tdepends on: 217
215; 1259 16397 SEQUENCE public orders_id_seq owner
;\tdepends on: 217
3400; 0 0 SEQUENCE OWNED BY public orders_id_seq owner
;\tdepends on: 215
219; 1259 16426 VIEW public w owner
;\tdepends on: 217 217
3219; 2604 16402 DEFAULT public orders id owner
;\tdepends on: 217 215 217
3220; 2604 16403 DEFAULT public child n owner
;\tdepends on: 220 218
3389; 0 16432 TABLE DATA public child owner
;\tdepends on: 220
3387; 0 16399 TABLE DATA public orders owner
;\tdepends on: 217
3401; 0 0 SEQUENCE SET public free owner
;\tdepends on: 218
3402; 0 0 SEQUENCE SET public orders_id_seq owner
;\tdepends on: 215
3223; 2606 16389 CONSTRAINT public customers customers_pkey owner
;\tdepends on: 214
3226; 2606 16408 CONSTRAINT public orders orders_pkey owner
;\tdepends on: 217
3224; 1259 16421 INDEX public odd owner
;\tdepends on: 217 217
3235; 2620 16422 TRIGGER public orders trg owner
;\tdepends on: 217 222
3234; 2606 16435 FK CONSTRAINT public child child_id_fkey owner
;\tdepends on: 3226 217 220
3232; 2606 16411 FK CONSTRAINT public orders orders_c_fkey owner
;\tdepends on: 214 217 3223
3233; 2606 16416 FK CONSTRAINT public orders orders_parent_fkey owner
;\tdepends on: 217 3226 217
300; 1259 16500 TABLE DATA TABLE owner
301; 0 16500 TABLE DATA DATA TABLE owner
;\tdepends on: 300
302; 1259 16501 TABLE Odd schema a table owner
303; 0 16501 TABLE DATA Odd schema a table owner
;\tdepends on: 302
"""


def taken(table: str) -> "subprocess.CompletedProcess[str]":
    words = ["awk", "-v", f"entry=TABLE {table} ", PROGRAM.read_text()]
    return subprocess.run(words, input=LISTED, capture_output=True, text=True, check=False)


def test_a_table_takes_what_it_needs_and_what_is_its_own() -> None:
    done = taken("public orders")
    *ids, left = done.stdout.splitlines()
    assert " ".join(ids) == "848 222 218 217 3398 215 3400 3219 3387 3401 3402 3226 3224 3235 3233"
    assert left == "left out: FK CONSTRAINT public orders orders_c_fkey owner"


@pytest.mark.parametrize(
    ("table", "ids"), [("DATA TABLE", "300 301"), ("Odd schema a table", "302 303"), ("public customers", "214 3223")]
)
def test_names_are_not_taken_for_kinds(table: str, ids: str) -> None:
    assert taken(table).stdout.split() == ids.split()


@pytest.mark.parametrize("table", ["public nosuch", "public w", "schema a table"])
def test_what_is_not_a_table_is_not_found(table: str) -> None:
    done = taken(table)
    assert (done.returncode, done.stdout) == (1, ""), done
