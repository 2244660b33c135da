// Reads sets with zarrita: node read_zarrita.mjs FOLDER OUT, copied to where zarrita is installed.
// Answers for file URLs, which fetch has none for, are made here.
import fs from "node:fs";
import * as zarr from "zarrita";
import ReferenceStore from "@zarrita/storage/ref";

const [dir, target] = process.argv.slice(2);

const answer = async (request) => {
  const whole = fs.readFileSync(decodeURIComponent(new URL(request.url).pathname));
  const range = request.headers.get("Range");
  if (!range) return new Response(whole);
  const [first, last] = range.slice(6).split("-").map(Number);
  return new Response(whole.subarray(first, last + 1), { status: 206 });
};

const out = {};
for (const file of fs.readdirSync(dir).filter((name) => name.endsWith(".json")).sort()) {
  const name = file.slice(0, -5);
  try {
    const document = JSON.parse(fs.readFileSync(`${dir}/${file}`, "utf8"));
    const store = ReferenceStore.fromSpec(document, { fetch: answer });
    const path = /^group(\.|$)/.test(name) ? "sub/v" : "v";
    const array = await zarr.open.v2(zarr.root(store).resolve(path), { kind: "array" });
    const got = await zarr.get(array);
    const shape = got?.shape ?? [];
    let data = got?.data === undefined ? [got] : Array.from(got.data);
    if (shape.length > 1) {
      // A chunk in Fortran order comes with strides of its own.
      const at = (i) => shape.reduceRight(
        ([place, rest], n, axis) => [place + (rest % n) * got.stride[axis], Math.floor(rest / n)],
        [0, i],
      )[0];
      data = data.map((_, i) => data[at(i)]);
    }
    out[name] = { shape, values: data.map(String) };
  } catch (error) {
    out[name] = { error: `${error.name}: ${error.message}`.slice(0, 200) };
  }
}
fs.writeFileSync(target, JSON.stringify(out));
