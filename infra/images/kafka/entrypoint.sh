#!/bin/sh
# Becomes the broker: KAFKA_… variables turn into server.properties as in the pinned image, and an
# empty data folder gets its identity without a second JVM.
set -eu

export KAFKA_LOG_DIRS="${KAFKA_LOG_DIRS:-/var/lib/kafka/data}"
config=/opt/kafka/config/server.properties
LC_ALL=C awk 'BEGIN {
    for (name in ENVIRON) {
        if (name !~ /^KAFKA_/) continue
        if (name ~ /^KAFKA_(HEAP_OPTS|JVM_PERFORMANCE_OPTS|OPTS|GC_LOG_OPTS|JMX_|LOG4J_|VERSION)/) continue
        key = tolower(substr(name, 7))
        gsub(/___/, "\001", key); gsub(/__/, "\002", key); gsub(/_/, ".", key)
        gsub(/\001/, "-", key); gsub(/\002/, "_", key)
        print key "=" ENVIRON[name]
    }
}' > "$config"

data=$KAFKA_LOG_DIRS
meta=$data/meta.properties
if [ -s "$meta" ]; then
    if ! grep -qx "cluster.id=$CLUSTER_ID" "$meta"; then
        echo "$data belongs to another Kafka cluster: $(grep '^cluster.id=' "$meta"), not $CLUSTER_ID" >&2
        exit 1
    fi
else
    # A directory's id is a random UUID in URL-safe base64; a leading dash looks like an option.
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | sed 's/^-/A/')
    printf 'version=1\ncluster.id=%s\nnode.id=%s\ndirectory.id=%s\n' \
        "$CLUSTER_ID" "$KAFKA_NODE_ID" "$id" > "$data/.meta.new"
    mv "$data/.meta.new" "$meta"
fi

# The shell sorts the jars, so that the class path is the one that the archive was made with.
class_path=$(printf '%s:' /opt/kafka/libs/*.jar)
archive=
[ ! -e /opt/kafka/classes.jsa ] || archive=-XX:SharedArchiveFile=/opt/kafka/classes.jsa
# Options are words on purpose.
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:--Xms256m -Xmx512m} ${KAFKA_JVM_PERFORMANCE_OPTS:-} $archive \
    ${KAFKA_OPTS:-} -Dlog4j.configuration=file:/opt/kafka/log4j.properties \
    -cp "${class_path%:}" kafka.Kafka "$config"
