"""confluent-kafka's registry client and Avro serialisers against a running registry.

    client.py URL FILE...    the lab's schema files, of which the first is used for a round trip

Prints one JSON object with the bytes that it wrote, for others to read.
"""

import json
import sys
import uuid

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

PREFIX = f"python-{uuid.uuid4()}-"


def refused(code, call, *args, **kwargs):
    try:
        result = call(*args, **kwargs)
    except SchemaRegistryError as error:
        assert error.error_code == code, f"expected {code}, got {error}"
        return error
    raise AssertionError(f"{call.__name__}{args} gave {result!r} instead of {code}")


def record(name, *fields):
    return json.dumps({"type": "record", "name": name, "namespace": "python", "fields": list(fields)})


def field(name, kind, **more):
    return {"name": name, "type": kind, **more}


def subjects_and_versions(client):
    subject = PREFIX + "versions-value"
    name = "R" + uuid.uuid4().hex
    first = Schema(record(name, field("a", "int")), "AVRO")
    second = Schema(record(name, field("a", "int"), field("b", "string", default="")), "AVRO")
    broken = Schema(record(name, field("a", "int"), field("c", "string")), "AVRO")

    schema_id = client.register_schema(subject, first)
    assert client.register_schema(subject, first) == schema_id
    assert client.lookup_schema(subject, first).version == 1
    assert client.test_compatibility(subject, second)
    next_id = client.register_schema(subject, second)
    assert next_id != schema_id
    assert client.get_versions(subject) == [1, 2]
    latest = client.get_latest_version(subject)
    assert (latest.version, latest.schema_id) == (2, next_id)
    assert client.get_version(subject, 1).schema_id == schema_id
    assert json.loads(client.get_schema(schema_id).schema_str) == json.loads(first.schema_str)
    assert subject in client.get_subjects()

    assert not client.test_compatibility(subject, broken)
    error = refused(409, client.register_schema, subject, broken)
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in error.error_message, error
    client.set_compatibility(subject, "NONE")
    assert client.get_compatibility(subject) == "NONE"
    client.register_schema(subject, broken)

    refused(42201, client.register_schema, subject, Schema('{"type": "record"}', "AVRO"))
    refused(42201, client.register_schema, subject, Schema('{"type": "object"}', "JSON"))
    refused(40401, client.get_versions, PREFIX + "nothing")
    refused(40402, client.get_version, subject, 99)
    refused(42203, client.set_compatibility, subject, "SIDEWAYS")

    assert client.delete_version(subject, 1) == 1
    assert client.delete_subject(subject) == [2, 3]
    assert client.delete_subject(subject, permanent=True) == [1, 2, 3]


def references(client):
    money = record("Money" + uuid.uuid4().hex, field("amount", "long"))
    name = "python." + json.loads(money)["name"]
    client.register_schema(PREFIX + "money", Schema(money, "AVRO"))
    order = Schema(
        record("Order" + uuid.uuid4().hex, field("id", "string"), field("total", name)),
        "AVRO",
        [SchemaReference(name, PREFIX + "money", 1)],
    )
    topic = PREFIX + "orders"
    context = SerializationContext(topic, MessageField.VALUE)
    serializer = AvroSerializer(client, order)
    value = {"id": "1", "total": {"amount": 12}}
    # A client without any cache finds the schema and what it refers to.
    deserializer = AvroDeserializer(fresh(client))
    assert deserializer(serializer(value, context), context) == value
    refused(42206, client.delete_subject, PREFIX + "money")


def evolution(client):
    topic = PREFIX + "evolution"
    context = SerializationContext(topic, MessageField.VALUE)
    name = "E" + uuid.uuid4().hex
    old = record(name, field("a", "int"))
    new = record(name, field("a", "long"), field("b", "string", default="?"))
    written = AvroSerializer(client, old)({"a": 1}, context)
    newer = AvroSerializer(client, new)({"a": 2, "b": "x"}, context)
    reader = AvroDeserializer(fresh(client), new)
    assert reader(written, context) == {"a": 1, "b": "?"}
    assert reader(newer, context) == {"a": 2, "b": "x"}
    try:
        AvroSerializer(client, record(name, field("a", "string")))({"a": "x"}, context)
    except SchemaRegistryError as error:
        assert error.error_code == 409, error
    else:
        raise AssertionError("an incompatible schema was registered")


def shared(client, path):
    """A record with the lab's own schema, for the others to read."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    value = {
        "event_id": "11111111-1111-4111-8111-111111111111",
        "timestamp": 1_700_000_000_123,
        "compte_id": "FR7630006000011234567890189",
        "client_id": "22222222-2222-4222-8222-222222222222",
        "motif": "Demande du client",
        "metadata": {"source": "python"},
    }
    topic = "bancaire.compte.ferme"
    context = SerializationContext(topic, MessageField.VALUE)
    data = AvroSerializer(client, text)(value, context)
    assert AvroDeserializer(fresh(client))(data, context)["motif"] == value["motif"]
    return data.hex()


def fresh(client):
    return SchemaRegistryClient({"url": URL})


def read(data):
    context = SerializationContext("bancaire.compte.ferme", MessageField.VALUE)
    value = AvroDeserializer(fresh(None))(bytes.fromhex(data), context)
    return {"motif": value["motif"], "compte_id": value["compte_id"]}


URL = sys.argv[1]
if sys.argv[2] == "read":
    print(json.dumps(read(sys.argv[3])))
else:
    registry = SchemaRegistryClient({"url": URL})
    subjects_and_versions(registry)
    references(registry)
    evolution(registry)
    print(json.dumps({"data": shared(registry, sys.argv[2])}))
