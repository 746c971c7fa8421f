// Print what is wrong with Kubernetes objects and with PromQL, as JSON.
//
// The models check what a schema can: types, formats, required fields. The compiler also refuses a
// field that the models do not know, since a cluster would ignore or refuse it.
import { parser } from "@prometheus-io/lezer-promql";
import { readFileSync } from "node:fs";

const { objects, expressions } = JSON.parse(readFileSync(process.argv[2], "utf8"));

async function invalid(object) {
  try {
    const models = await import(`kubernetes-models/${object.apiVersion}`);
    new models[object.kind](object).validate();
    return [];
  } catch (error) {
    return [String(error)];
  }
}

function sourceOf(object) {
  return `import type { I${object.kind} } from "kubernetes-models/${object.apiVersion}";
    export const manifest: I${object.kind} = ${JSON.stringify(object)};`;
}

async function unknownFields() {
  const { default: ts } = await import("typescript"); // it takes a second
  const sources = new Map(
    objects.map((object, n) => [new URL(`${n}.ts`, import.meta.url).pathname, sourceOf(object)]),
  );
  const options = {
    module: ts.ModuleKind.NodeNext,
    noEmit: true,
    skipLibCheck: true,
    strict: true,
    target: ts.ScriptTarget.ESNext,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.readFile = (path) => sources.get(path) ?? readFile(path);
  const program = ts.createProgram([...sources.keys()], options, host);
  return [...sources.keys()].map((path) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(path))
      .map((each) => ts.flattenDiagnosticMessageText(each.messageText, " ")),
  );
}

function hasError(expression) {
  let found = false;
  parser.parse(expression).iterate({ enter: (node) => void (found ||= node.type.isError) });
  return found;
}

const unknown = objects.length ? await unknownFields() : [];
const problems = await Promise.all(
  objects.map(async (object, n) => [...(await invalid(object)), ...unknown[n]]),
);
console.log(JSON.stringify({ objects: problems, expressions: expressions.filter(hasError) }));
