"""A reward in Python: the share of the answer's digits that are right, read from the right.

    reward:
      - { kind: command, command: [python3, ../examples/rewards/digits.py] }

One JSON object comes in on stdin; the last line printed is the score. Any language can do this. It is started anew for every
rollout, which costs a start of Python each time: fine for an evaluation or a few hundred rollouts. For long runs write a program that
stays, as ../environments/brackets.py does (docs/subprocess.md, "A reward in another language").
"""

import json
import sys

call = json.load(sys.stdin)
completion = call["completion"].strip()
answer = call["task"]["answer"]

right = sum(a == b for a, b in zip(reversed(completion), reversed(answer)))
print(right / max(len(answer), len(completion)))
