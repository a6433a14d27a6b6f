// Reads JSON, one value a line, and prints each in a form that other languages print, too.

const fs = require("fs");

function canonical(value) {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number") {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value + 0);
    return bytes.toString("hex");
  }
  if (typeof value === "string") return `"${Buffer.from(value, "utf16le").swap16().toString("hex")}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const fields = Object.entries(value).map(([name, item]) => [canonical(name), canonical(item)]);
  fields.sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${fields.map(([name, item]) => `${name}:${item}`).join(",")}}`;
}

for (const line of fs.readFileSync(0, "utf8").split("\n")) {
  if (line) console.log(canonical(JSON.parse(line)));
}
