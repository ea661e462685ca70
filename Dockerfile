# cloudbackup in a container: `docker build --build-arg DEBIAN=12 --tag cloudbackup:12 .`; docs/containers.md tells the rest.
#
# mariadb-backup must be of the server's own release series. Debian 12 has MariaDB 10.11, Debian 13 has MariaDB 11.8. Another series
# comes from MariaDB's own repository: `--build-arg MARIADB=11.4`.
ARG DEBIAN=13
# The bases by digest, so that a build starts from the same bytes everywhere. To renew them:
# `docker buildx imagetools inspect debian:13-slim` prints the digest of the tag as it is now.
ARG BASE_12=debian:12-slim@sha256:7c7b2c966bc9ee8cedfeef67e0e279108992c77681fa595db4a9d65c06ccc587
ARG BASE_13=debian:13-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f
FROM ${BASE_12} AS debian-12
FROM ${BASE_13} AS debian-13

# --- MariaDB's repository, where another series than Debian's is asked for
FROM debian-${DEBIAN} AS mariadb
ARG MARIADB=
RUN mkdir -p /repository/sources.list.d /repository/keyrings /repository/apt.conf.d \
 && if [ -n "$MARIADB" ]; then \
        apt-get update \
     && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates curl \
     && curl -fsSLo /repository/keyrings/mariadb.pgp https://mariadb.org/mariadb_release_signing_key.pgp \
     && cp /etc/ssl/certs/ca-certificates.crt /repository/mariadb-ca.crt \
     && echo 'Acquire::https::CAInfo "/etc/apt/mariadb-ca.crt";' >/repository/apt.conf.d/90mariadb \
     && . /etc/os-release \
     && echo "deb [signed-by=/etc/apt/keyrings/mariadb.pgp] https://deb.mariadb.org/$MARIADB/debian $VERSION_CODENAME main" \
            >/repository/sources.list.d/mariadb.list \
     && rm -rf /var/lib/apt/lists/*; \
    fi

# --- what only the making of .venv needs
FROM debian-${DEBIAN} AS venv
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/cloudbackup
COPY inv requirements.txt ./
COPY tasks/program.py tasks/version.py tasks/
# `./inv` makes .venv as it does everywhere. Nothing is installed into it later, so pip goes, and so does what colours source
# code (pygments, which rich can do without); what is read at each start is compiled now, as nothing can be written later.
RUN ./inv --version \
 && rm -rf .venv/lib/python3*/site-packages/pip .venv/lib/python3*/site-packages/pip-* .venv/bin/pip* .venv/install.log \
        .venv/lib/python3*/site-packages/pygments .venv/bin/pygmentize \
 && find .venv -name '*.pyi' -delete
COPY tasks.py ./
COPY tasks tasks
RUN python3 -m compileall -q -j 0 tasks .venv/lib && ./inv --list >/dev/null

# --- the image
FROM debian-${DEBIAN} AS cloudbackup
ARG DEBIAN
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="cloudbackup" \
      org.opencontainers.image.description="Back up many apps' files and MariaDB servers to a Storage Box with Borg, from one place" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/debian:${DEBIAN}-slim"
# mariadb-server-core holds the programs of a server, for restore drills, and no service. Before 10.11, MariaDB's own packages of
# programs have the series in their names. What goes is upkeep of live servers, translations, and Python's own tests.
ARG MARIADB=
COPY --from=mariadb /repository/ /etc/apt/
RUN case $MARIADB in 10.?|10.10) series=-$MARIADB ;; *) series= ;; esac \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        borgbackup ca-certificates mariadb-backup "mariadb-client-core$series" "mariadb-server-core$series" \
        libnss-wrapper openssh-client python3 tini tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /usr/share/doc /usr/share/man \
        /usr/share/locale /usr/lib/python3.*/test /usr/lib/python3.*/pydoc_data \
        /usr/bin/mariadb-upgrade /usr/bin/mariadb-check /usr/bin/innochecksum
# These have names, as whom containers mostly run: 33 is www-data, 999 is mysql in MariaDB's own image, 1000 the first user of
# most others; any other number gets one for ssh (image/ssh). Whoever runs it, the group is 0, to which the home belongs.
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /home/cloudbackup --shell /usr/sbin/nologin cloudbackup \
 && for uid in 999 1000; do useradd --uid $uid --gid 0 --no-create-home --home-dir /home/cloudbackup \
        --shell /usr/sbin/nologin user$uid; done \
 && usermod --gid 0 www-data \
 && install --directory --owner=10001 --group=0 --mode=0770 /home/cloudbackup
COPY image/ssh image/health /usr/local/bin/
COPY --from=venv /opt/cloudbackup /opt/cloudbackup
# The home keeps borg's caches and what an app's host keeps (its own key): mount a volume there. LOGNAME is the name of whoever
# runs it for what asks the environment first, as Python and paramiko do: a number of `docker run --user` has none.
ENV HOME=/home/cloudbackup \
    LOGNAME=cloudbackup \
    INVOKE_INVENTORY=/inventory \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /home/cloudbackup
USER 10001:0
# What `report.serve` says of itself where it runs; else whether the tool can read its inventory. No connection leaves for it.
HEALTHCHECK --interval=5m --timeout=30s --start-period=2m CMD ["/usr/local/bin/health"]
EXPOSE 9190
# tini ends what a stopped container still runs, and reaps its zombies.
ENTRYPOINT ["/usr/bin/tini", "-g", "--", "/opt/cloudbackup/inv"]
CMD ["--list"]

# --- with kubectl, for databases that are reached by `kubectl exec`: `docker build --target kubernetes`
FROM cloudbackup AS kubernetes
USER 0
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends kubernetes-client \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /usr/share/doc /usr/share/man
USER 10001:0

# --- what is built unless another target is named
FROM cloudbackup
