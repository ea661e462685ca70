# cloudbackup in a container: `docker build --build-arg DEBIAN=12 --tag cloudbackup:12 .`; docs/containers.md tells the rest.
#
# mariadb-backup must be of the server's own release series. Debian 12 has MariaDB 10.11, Debian 13 has MariaDB 11.8.
ARG DEBIAN=13
# The bases by digest, so that a build starts from the same bytes everywhere. To renew them:
# `docker buildx imagetools inspect debian:13-slim` prints the digest of the tag as it is now.
ARG BASE_12=debian:12-slim@sha256:7c7b2c966bc9ee8cedfeef67e0e279108992c77681fa595db4a9d65c06ccc587
ARG BASE_13=debian:13-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f
FROM ${BASE_12} AS debian-12
FROM ${BASE_13} AS debian-13

# --- what only the making of .venv needs
FROM debian-${DEBIAN} AS venv
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/cloudbackup
COPY inv requirements.txt ./
COPY tasks/program.py tasks/version.py tasks/
# `./inv` makes .venv as it does everywhere. Nothing is installed into it later, so pip goes; what is read at each start
# is compiled now, as nothing can be written later.
RUN ./inv --version \
 && rm -rf .venv/lib/python3*/site-packages/pip .venv/lib/python3*/site-packages/pip-* .venv/bin/pip* .venv/install.log
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
# mariadb-server-core holds the programs of a server, for restore drills, and no service.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        borgbackup ca-certificates mariadb-backup mariadb-client-core mariadb-server-core \
        openssh-client python3 tini tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /usr/share/doc /usr/share/man
# ssh runs for a user with a name only, and looks at a pinned host key in that user's own group: 33 is www-data, 999 is mysql
# in MariaDB's own image, 1000 the first user of most others. Whoever runs it, the group is 0, to which the home belongs.
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /home/cloudbackup --shell /usr/sbin/nologin cloudbackup \
 && for uid in 999 1000; do useradd --uid $uid --gid 0 --no-create-home --home-dir /home/cloudbackup \
        --shell /usr/sbin/nologin user$uid; done \
 && usermod --gid 0 www-data \
 && install --directory --owner=10001 --group=0 --mode=0770 /home/cloudbackup
COPY --from=venv /opt/cloudbackup /opt/cloudbackup
# The home keeps borg's caches and what an app's host keeps (its own key): mount a volume there.
ENV HOME=/home/cloudbackup \
    INVOKE_INVENTORY=/inventory \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /home/cloudbackup
USER 10001:0
# Whether the tool runs and can read its inventory, without any connection.
HEALTHCHECK --interval=5m --timeout=30s --start-period=10s CMD ["/opt/cloudbackup/inv", "app.list"]
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
