/** Answers as models of each family write them, taken apart. */
import { describe, expect, test } from 'vitest';
import { formatOf, toolFormats, type ToolFormatName } from '../../src/agents/formats/index.ts';
import { apartFromReasoning } from '../../src/agents/reasoning.ts';

const weather = { name: 'weather', arguments: { city: 'Ürümqi "x"', days: 2 } };
const clock = { name: 'clock', arguments: {} };
const json = (call: object) => JSON.stringify(call);

const written: [ToolFormatName, string, string, { content: string; calls: object[] }][] = [
  ['hermes', 'one call behind a sentence', `Let me see.\n<tool_call>\n${json(weather)}\n</tool_call>`, { content: 'Let me see.', calls: [weather] }],
  ['hermes', 'two calls', `<tool_call>\n${json(weather)}\n</tool_call>\n<tool_call>\n${json(clock)}\n</tool_call>`, { content: '', calls: [weather, clock] }],
  ['hermes', 'a list in one block, as SmolLM has it', `<tool_call>[${json(weather)}, ${json(clock)}]</tool_call>`, { content: '', calls: [weather, clock] }],
  ['hermes', 'arguments as a text', `<tool_call>${json({ name: 'clock', arguments: '{"zone":"UTC"}' })}</tool_call>`, { content: '', calls: [{ name: 'clock', arguments: { zone: 'UTC' } }] }],
  ['hermes', 'a last block that the end of the answer closes', `<tool_call>\n${json(clock)}`, { content: '', calls: [clock] }],
  ['hermes', 'no call', 'It is {"name": "clock"}.', { content: 'It is {"name": "clock"}.', calls: [] }],
  ['qwen3_coder', 'parameters of several lines', '<tool_call>\n<function=write>\n<parameter=path>\na.py\n</parameter>\n<parameter=text>\nif a < b:\n  print("</x>")\n</parameter>\n<parameter=times>\n3\n</parameter>\n</function>\n</tool_call>', { content: '', calls: [{ name: 'write', arguments: { path: 'a.py', text: 'if a < b:\n  print("</x>")', times: 3 } }] }],
  ['qwen3_coder', 'no parameters', '<tool_call><function=clock></function></tool_call>', { content: '', calls: [clock] }],
  ['llama3_json', 'bare JSON', '{"name": "weather", "parameters": {"city": "Ürümqi \\"x\\"", "days": 2}}', { content: '', calls: [weather] }],
  ['llama3_json', 'a tag and two calls', `<|python_tag|>${json(weather)}; ${json(clock)}<|eom_id|>`, { content: '', calls: [weather, clock] }],
  ['llama3_json', 'JSON that is no call', '{"answer": 17}', { content: '{"answer": 17}', calls: [] }],
  ['mistral', 'a list', `[TOOL_CALLS] [${json(weather)}, ${json(clock)}]`, { content: '', calls: [weather, clock] }],
  ['mistral', 'names and arguments of version 11', `Yes.[TOOL_CALLS]weather[ARGS]${json(weather.arguments)}[TOOL_CALLS]clock[CALL_ID]a1b2[ARGS]{}</s>`, { content: 'Yes.', calls: [weather, clock] }],
  ['pythonic', 'literals of every kind', `<|python_start|>[f(a='it\\'s', b=[1, -2.5e3, {"k": None}], c=True), clock()]<|python_end|>`, { content: '', calls: [{ name: 'f', arguments: { a: "it's", b: [1, -2500, { k: null }], c: true } }, clock] }],
  ['pythonic', 'brackets in prose', 'See [1] and [f(x)].', { content: 'See [1] and [f(x)].', calls: [] }],
  ['deepseek', 'the fenced kind', 'Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{"city": "Ürümqi \\"x\\"", "days": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>', { content: 'Hm.', calls: [weather] }],
  ['deepseek', 'the bare kind', '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>clock<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁call▁begin｜>clock<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>', { content: '', calls: [clock, clock] }],
];

describe('calls', () => {
  test.each(written)('%s: %s', (format, _name, text, expected) => {
    expect(toolFormats[format].parse(text)).toEqual(expected);
  });

  test.each<[ToolFormatName, string, RegExp]>([
    ['hermes', '<tool_call>\n{"name": "weather", "arguments": {"city": \n</tool_call>', /it is no JSON/],
    ['hermes', '<tool_call>\n{"name": "weather", "arg', /it is no JSON .*not closed by <\/tool_call>/],
    ['hermes', '<tool_call>{"arguments": {}}</tool_call>', /has no "name"/],
    ['hermes', '<tool_call>{"name": "a", "arguments": [1]}</tool_call>', /arguments of a are no JSON object/],
    ['hermes', `<tool_call>${json(clock)}</tool_call><tool_call>nonsense</tool_call>`, /it is no JSON/],
    ['qwen3_coder', '<tool_call><function=f><parameter=x>1</function></tool_call>', /parameters of f/],
    ['qwen3_coder', '<tool_call>{"name":"f"}</tool_call>', /expected <function=name>/],
    ['llama3_json', '{"name": "weather", "parameters": {"city"', /it is no JSON/],
    ['llama3_json', '<|python_tag|>print(1)', /it is no JSON/],
    ['mistral', '[TOOL_CALLS]weather[ARGS]{"city": ', /it is no JSON/],
    ['pythonic', '[weather(city="Rome"', /expected \)/],
    ['pythonic', '<|tool_call_start|>weather<|tool_call_end|>', /expected a list of calls/],
    ['deepseek', '<｜tool▁call▁begin｜>clock<｜tool▁call▁end｜>', /expected the name/],
  ])('%s says what is wrong with %j, and calls nothing', (format, text, says) => {
    expect(toolFormats[format].parse(text)).toMatchObject({ calls: [], malformed: expect.stringMatching(says) });
  });

  test('none of them throws or hangs, whatever is written', () => {
    const parts = ['<tool_call>', '</tool_call>', '{"name":', '"a"', '}', '[', ']', '<function=', '<parameter=x>', '>', '[TOOL_CALLS]', '[ARGS]', '<|python_tag|>', 'f(', ')', "'", '\\', '<｜tool▁call▁begin｜>', '<｜tool▁sep｜>', ' ', '\n'];
    let state = 1;
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: 1 + (round % 12) }, () => parts[(state = (state * 48271) % 2147483647) % parts.length]!).join('');
      for (const { parse } of Object.values(toolFormats)) expect(typeof parse(text).content).toBe('string');
    }
    for (const { parse } of Object.values(toolFormats)) parse(`${'<tool_call>'.repeat(5000)}${'{"a":['.repeat(5000)}${'[f('.repeat(5000)}`);
  });
});

test.each<[ToolFormatName | null, string]>([
  ['hermes', '{{- "\\n<tool_call>\\n{\\"name\\": \\"" }}{%- for message in messages %}<|im_start|>{% endfor %}'],
  ['qwen3_coder', '<tool_call>\\n<function=example_function_name>\\n<parameter=example_parameter_1>'],
  ['llama3_json', '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "{{ tool_call.name }}", "parameters": '],
  ['mistral', '[AVAILABLE_TOOLS] {% for tool in tools %}…[TOOL_CALLS] ['],
  ['pythonic', '<|start_header_id|>system … <|python_start|>'],
  ['deepseek', '<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>'],
  [null, '<|im_start|>{{ message.role }}\\n{{ message.content }}<|im_end|>'],
])('the format %s is known by its chat template', (name, template) => {
  expect(formatOf(template)).toBe(name);
});

test.each([
  ['<think>\nhm\n</think>\n\n17', { reasoning: 'hm', content: '\n\n17' }],
  ['hm\n</think>17', { reasoning: 'hm', content: '17' }],
  ['<think>\nand so on', { reasoning: 'and so on', content: '' }],
  ['17', { reasoning: '', content: '17' }],
])('%j is taken apart at the end of its thinking', (text, parts) => {
  expect(apartFromReasoning(text)).toEqual(parts);
});
