// kafkajs' registry client against a running registry.
//
//     node client.cjs URL SCHEMA_FILE DATA    DATA: a record in hex that another client wrote
//
// Prints one JSON object: what it read, and a record that it wrote.

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { COMPATIBILITY, SchemaRegistry, SchemaType } = require("@kafkajs/confluent-schema-registry");

const [url, schemaFile, data] = process.argv.slice(2);
const prefix = `node-${randomUUID()}-`;
const unique = (name) => name + randomUUID().replaceAll("-", "");
const client = () => new SchemaRegistry({ host: url, retry: { retries: 0 } });
const avro = (name, fields, references) => ({
  type: SchemaType.AVRO,
  schema: JSON.stringify({ type: "record", name, namespace: "node", fields }),
  references,
});

async function versions() {
  const registry = client();
  const subject = `${prefix}versions`;
  const name = unique("R");
  const first = avro(name, [{ name: "a", type: "int" }]);
  const second = avro(name, [
    { name: "a", type: "int" },
    { name: "b", type: "string", default: "" },
  ]);
  const { id } = await registry.register(first, { subject });
  assert.equal((await registry.register(first, { subject })).id, id);
  const next = await registry.register(second, { subject });
  assert.notEqual(next.id, id);
  assert.equal(await registry.getLatestSchemaId(subject), next.id);
  assert.equal(await registry.getRegistryId(subject, 1), id);
  assert.equal(await registry.getRegistryIdBySchema(subject, first), id);

  // A client without a cache reads what an older writer wrote.
  const written = await registry.encode(id, { a: 1 });
  const read = await client().decode(written, { AVRO: { readerSchema: JSON.parse(second.schema) } });
  assert.deepEqual({ ...read }, { a: 1, b: "" });

  const broken = avro(name, [{ name: "c", type: "string" }]);
  await assert.rejects(registry.register(broken, { subject }), (error) => {
    assert.equal(error.status, 409);
    assert.match(error.message, /READER_FIELD_MISSING_DEFAULT_VALUE/);
    return true;
  });
  // It compares what it asks for with what is set.
  await assert.rejects(
    registry.register(first, { subject, compatibility: COMPATIBILITY.FULL }),
    /Compatibility does not match/,
  );
  await assert.rejects(registry.getLatestSchemaId(`${prefix}nothing`), { status: 404 });
  await assert.rejects(client().getSchema(2147483647), { status: 404 });
}

async function references() {
  const registry = client();
  const name = unique("Money");
  const subject = `${prefix}money`;
  await registry.register(avro(name, [{ name: "amount", type: "long" }]), { subject });
  const reference = { name: `node.${name}`, subject, version: 1 };
  const order = avro(unique("Order"), [{ name: "total", type: reference.name }], [reference]);
  const { id } = await registry.register(order, { subject: `${prefix}orders` });
  const value = { total: { amount: 12 } };
  const read = await client().decode(await registry.encode(id, value));
  assert.equal(read.total.amount, 12);
}

async function shared() {
  const registry = client();
  const read = await registry.decode(Buffer.from(data, "hex"));
  const schema = { type: SchemaType.AVRO, schema: readFileSync(schemaFile, "utf8") };
  const { id } = await registry.register(schema, { subject: "bancaire.compte.ferme-value" });
  const value = { ...read, motif: "Écrit par Node" };
  const written = await registry.encode(id, value);
  return { motif: read.motif, data: written.toString("hex") };
}

async function main() {
  await versions();
  await references();
  console.log(JSON.stringify(await shared()));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
