# The same with Kafka's classes as the JVM keeps them in memory, written by a broker that ran once
# in the image below: it halves the time to start.
ARG BASE
FROM ${BASE}
COPY classes.jsa /opt/kafka/classes.jsa
