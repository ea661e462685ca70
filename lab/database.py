"""Rows for a lab's databases, changes to them, and a fingerprint that tells whether two databases hold the same."""

from lab import mariadb
from lab.mariadb import Server

_ROW_BYTES = 690  # what one order costs on disk with its items and indices, measured with MariaDB 10.11

_TABLES = """
CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4;
USE `{name}`;
CREATE TABLE customers (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, email VARCHAR(120)
  NOT NULL, note TEXT, joined DATETIME NOT NULL, UNIQUE KEY email (email), KEY joined (joined)) ENGINE=InnoDB;
CREATE TABLE orders (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, customer INT UNSIGNED NOT NULL, total
  DECIMAL(10,2) NOT NULL, state ENUM('new','paid','sent') NOT NULL,
  placed DATETIME NOT NULL, token BINARY(32) NOT NULL, comment VARCHAR(200),
  KEY customer (customer), KEY placed (placed), FOREIGN KEY (customer) REFERENCES customers (id)) ENGINE=InnoDB;
CREATE TABLE items (order_id INT UNSIGNED NOT NULL, line TINYINT UNSIGNED NOT NULL, product CHAR(12) NOT NULL,
  amount SMALLINT UNSIGNED NOT NULL, PRIMARY KEY (order_id, line), KEY product (product)) ENGINE=InnoDB;
CREATE TABLE pictures (id INT UNSIGNED PRIMARY KEY, picture MEDIUMBLOB NOT NULL) ENGINE=InnoDB;
CREATE TABLE visits (day DATE PRIMARY KEY, pages INT UNSIGNED NOT NULL) ENGINE=Aria;
CREATE TABLE words (word VARCHAR(40) PRIMARY KEY, seen INT UNSIGNED NOT NULL) ENGINE=MyISAM;
CREATE TABLE journal (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, what VARCHAR(80) NOT NULL) ENGINE=InnoDB;
CREATE VIEW open_orders AS SELECT o.id, c.name, o.total FROM orders o
  JOIN customers c ON c.id = o.customer WHERE o.state <> 'sent';
CREATE TRIGGER order_placed AFTER UPDATE ON orders FOR EACH ROW
  INSERT INTO journal (what) VALUES (CONCAT('order ', NEW.id, ' ', NEW.state));
"""

_ROWS = """
SET rand_seed1 = {seed}, rand_seed2 = 4711;
INSERT INTO customers (name, email, note, joined) SELECT CONCAT('Zoë ', seq, ' Åkerström 🙂'), CONCAT('c', seq,
  '@example.org'), REPEAT(MD5(RAND()), 3), '2026-01-01' + INTERVAL seq MINUTE FROM seq_1_to_{customers};
INSERT INTO orders (customer, total, state, placed, token, comment) SELECT 1 + seq MOD {customers}, ROUND(RAND() * 500,
  2), ELT(1 + seq MOD 3, 'new', 'paid', 'sent'), '2026-01-01' + INTERVAL seq SECOND, MD5(RAND()),
  CONCAT(MD5(RAND()), ' it''s "quoted"')
  FROM seq_1_to_{orders};
INSERT INTO items SELECT seq DIV 2, seq MOD 2, LEFT(MD5(RAND()), 12), 1 + seq MOD 9 FROM seq_2_to_{items};
INSERT INTO pictures SELECT seq, CAST(REPEAT(UNHEX(SHA2(CONCAT(seq, {seed}), 512)), 1600) AS BINARY)
  FROM seq_1_to_{pictures};
INSERT INTO visits SELECT '2020-01-01' + INTERVAL seq DAY, seq * 7 FROM seq_1_to_400;
INSERT INTO words SELECT CONCAT('word', seq), seq FROM seq_1_to_400;
"""

_CHANGES = """
SET rand_seed1 = {seed}, rand_seed2 = 815;
SET @last = (SELECT MAX(id) FROM orders);
UPDATE orders SET state = 'sent', total = total + 1 WHERE id IN (SELECT 1 + seq * 7919 MOD @last FROM seq_1_to_{rows});
INSERT INTO orders (customer, total, state, placed, token, comment) SELECT 1 + seq MOD 50, ROUND(RAND() * 500, 2),
  'new', '2026-06-01' + INTERVAL seq SECOND, MD5(RAND()), MD5(RAND()) FROM seq_1_to_{rows};
DELETE FROM items WHERE order_id MOD 997 = {seed} MOD 997;
UPDATE visits SET pages = pages + 1 WHERE DAYOFMONTH(day) = 1 + {seed} MOD 28;
UPDATE words SET seen = seen + {seed} WHERE word LIKE 'word1%';
"""


def fill(server: Server, megabytes: int) -> None:
    """Make the app's database, named as the app, of about so many megabytes on disk."""
    orders = max(300, megabytes * 1_000_000 // _ROW_BYTES)
    values = {
        "seed": sum(server.app.encode()),
        "customers": max(50, orders // 10),
        "orders": orders,
        "items": 2 * orders + 1,
        "pictures": max(3, megabytes // 2),
    }
    mariadb.query(server, _TABLES.format(name=server.app) + _ROWS.format(**values))


def change(server: Server, rows: int = 200, seed: int = 1) -> None:
    """Update and insert so many rows here and there, delete some; another `seed` changes others."""
    mariadb.query(server, _CHANGES.format(seed=seed, rows=rows), server.app)


def fingerprint(server: Server, database: str = "") -> dict[str, str]:
    """Return what a database holds: rows and checksum of each table, and the definitions of views and triggers.

    Two databases with the same fingerprint hold the same rows. `database` is the app's one by default.
    """
    name = database or server.app
    found: dict[str, str] = {}
    kinds = mariadb.query(server, f"SHOW FULL TABLES FROM `{name}`")
    for table, kind in kinds:
        if kind == "BASE TABLE":
            rows = mariadb.query(server, f"SELECT COUNT(*) FROM `{name}`.`{table}`")[0][0]  # noqa: S608
            checksum = mariadb.query(server, f"CHECKSUM TABLE `{name}`.`{table}` EXTENDED")[0][1]
            found[table] = f"{rows} rows, checksum {checksum}"
        elif kind == "SEQUENCE":
            found[table] = str(mariadb.query(server, f"SELECT * FROM `{name}`.`{table}`"))  # noqa: S608
        else:
            found[table] = mariadb.query(server, f"SHOW CREATE VIEW `{name}`.`{table}`")[0][1]
    for trigger, *definition in mariadb.query(server, f"SHOW TRIGGERS FROM `{name}`"):
        found[f"trigger {trigger}"] = " ".join(definition[:3])
    return found
