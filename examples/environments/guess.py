"""A game of several turns as a program of its own: find the hidden letter by "later" (>) and "earlier" (<).

    taskset: { source: ../examples/environments/guess.jsonl, split: { train: 40, eval: 10 } }
    agent: { max_steps: 3 }
    reward: [{ kind: task }]
    runtime: { kind: subprocess, command: [python3, ../examples/environments/guess.py] }

`"steps": true` in the reply to setup asks for every answer: `step` says something to it, or ends the game with a reward (docs/subprocess.md).
"""

import json
import sys


def setup(template, args):
    """The prompt of a task, and the wish to hear every answer."""
    global game, tried
    game, tried = args, 0
    return {"prompt": f"{args['first']}-{args['last']}:", "steps": True}


def step(completion):
    """What the game says to an answer."""
    global tried
    tried += 1
    if completion == game["hidden"]:
        return {"done": True, "reward": 1, "info": {"tries": tried}}
    if tried == game["tries"] or not completion.isalpha():
        return {"done": True, "reward": 0}
    return {"messages": [{"role": "user", "content": ">" if completion < game["hidden"] else "<"}]}


METHODS = {"setup": setup, "step": step}

for line in sys.stdin:
    call = json.loads(line)
    try:
        reply = {"id": call["id"], "result": METHODS[call["method"]](**call["params"])}
    except Exception as error:
        reply = {"id": call["id"], "error": {"message": f"{type(error).__name__}: {error}"}}
    print(json.dumps(reply), flush=True)
