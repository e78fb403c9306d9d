#!/bin/sh
# Becomes the server. An empty volume gets a cluster first, made beside its place, so that a
# half-made one is never used.
set -eu

if [ "${1:-postgres}" != postgres ]; then
    exec "$@"
fi
[ $# -eq 0 ] || shift

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "POSTGRES_PASSWORD is needed to create the database cluster" >&2
        exit 1
    fi
    user=${POSTGRES_USER:-postgres}
    new=$PGDATA/new
    find "$PGDATA" -mindepth 1 -delete
    umask 077
    printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
    # Options are words on purpose.
    # shellcheck disable=SC2086
    initdb --username="$user" --pwfile=/tmp/password --pgdata="$new" --no-sync --no-instructions \
        --auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
    rm /tmp/password
    echo 'host all all all scram-sha-256' >> "$new/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$new/postgresql.conf"
    database=${POSTGRES_DB:-$user}
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE \"$database\"" | postgres --single -D "$new" postgres > /dev/null
    fi
    # What says that the cluster is there moves last.
    find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$new/PG_VERSION" "$PGDATA/"
    rmdir "$new"
fi

exec postgres -D "$PGDATA" "$@"
