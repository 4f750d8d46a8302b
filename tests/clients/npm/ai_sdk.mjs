// The Vercel AI SDK as a program: node ai_sdk.mjs <openai|compatible|anthropic> <url> <model> <prompt>
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.CLIENTS_FOLDER + "/package.json");
const { streamText, stepCountIs, tool } = require("ai");
const { z } = require("zod");

const [kind, url, model, prompt] = process.argv.slice(2);
const settings = { baseURL: url + "/v1", apiKey: "a-key-of-the-client" };

function provider() {
  if (kind === "openai") return require("@ai-sdk/openai").createOpenAI(settings);
  if (kind === "anthropic") return require("@ai-sdk/anthropic").createAnthropic(settings);
  const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
  return createOpenAICompatible({ ...settings, name: "evenkeel" });
}

const read_file = tool({
  description: "Reads a file.",
  inputSchema: z.object({ path: z.string() }),
  execute: async ({ path }) => readFileSync(path, "utf8"),
});

const result = streamText({
  model: provider()(model),
  prompt,
  tools: { read_file },
  stopWhen: stepCountIs(4),
  maxRetries: 0,
  onError: ({ error }) => {
    console.error(error);
    process.exitCode = 1;
  },
});
for await (const piece of result.textStream) process.stdout.write(piece);
process.stdout.write("\n");
