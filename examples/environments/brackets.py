"""An environment as a program of its own: it makes the prompts and judges the completions.

    taskset: { source: ../examples/environments/brackets.jsonl, split: { train: 40, eval: 8 } }
    reward: [{ kind: task }]
    runtime: { kind: subprocess, command: [python3, ../examples/environments/brackets.py] }

Calls arrive as JSON lines on stdin, replies leave as JSON lines on stdout (docs/subprocess.md). rlrun starts as many of these
programs as runtime.concurrency allows and replaces one that hangs, dies or grows too large.
"""

import json
import sys

CLOSING = {"(": ")", "[": "]", "{": "}"}


def setup(template, args):
    """The prompt of a task."""
    global expected
    expected = "".join(CLOSING[bracket] for bracket in reversed(args["open"]))
    return {"prompt": f"close {args['open']}:"}


def grade(completion):
    """The reward for the task that was set up last: the share of brackets closed before the first mistake."""
    right = 0
    for got, wanted in zip(completion.strip(), expected):
        if got != wanted:
            break
        right += 1
    return {"reward": right / max(len(expected), len(completion.strip())), "info": {"right": right}}


METHODS = {"setup": setup, "grade": grade}

for line in sys.stdin:
    call = json.loads(line)
    try:
        reply = {"id": call["id"], "result": METHODS[call["method"]](**call["params"])}
    except Exception as error:
        reply = {"id": call["id"], "error": {"message": f"{type(error).__name__}: {error}"}}
    print(json.dumps(reply), flush=True)
