"""The same forward and backward in PyTorch, one step per line on stdin; prints `seconds …`, what it took.

A plain Llama decoder, float32, all cores. LoRA as PEFT computes it: x·W + (x·A)·B·(alpha/rank), W frozen.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

spec = json.loads(sys.argv[1])
torch.manual_seed(0)
H, I, L = spec["hidden_size"], spec["intermediate_size"], spec["num_hidden_layers"]
NH, KV, V, R = spec["num_attention_heads"], spec["num_key_value_heads"], spec["vocab_size"], spec["lora"]
D = H // NH
S = spec["length"] - 1


class Linear(torch.nn.Module):
    def __init__(self, rows, columns):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(columns, rows) * 0.02, requires_grad=R == 0)
        if R:
            self.a = torch.nn.Parameter(torch.randn(R, rows) * 0.02)
            self.b = torch.nn.Parameter(torch.zeros(columns, R))

    def forward(self, x):
        y = F.linear(x, self.weight)
        return y + F.linear(F.linear(x, self.a), self.b) * 2.0 if R else y


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.n1 = torch.nn.Parameter(torch.ones(H), requires_grad=R == 0)
        self.n2 = torch.nn.Parameter(torch.ones(H), requires_grad=R == 0)
        self.q, self.k, self.v, self.o = Linear(H, NH * D), Linear(H, KV * D), Linear(H, KV * D), Linear(NH * D, H)
        self.gate, self.up, self.down = Linear(H, I), Linear(H, I), Linear(I, H)

    def forward(self, x, cos, sin):
        B = x.shape[0]
        h = F.rms_norm(x, (H,), self.n1, 1e-5)
        q = self.q(h).view(B, S, NH, D).transpose(1, 2)
        k = self.k(h).view(B, S, KV, D).transpose(1, 2)
        v = self.v(h).view(B, S, KV, D).transpose(1, 2)

        def rotate(t):
            a, b = t.chunk(2, -1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=NH != KV)
        x = x + self.o(y.transpose(1, 2).reshape(B, S, NH * D))
        h = F.rms_norm(x, (H,), self.n2, 1e-5)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Parameter(torch.randn(V, H) * 0.02, requires_grad=R == 0)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(L))
        self.norm = torch.nn.Parameter(torch.ones(H), requires_grad=R == 0)

    def forward(self, ids, cos, sin, scored):
        x = self.embedding[ids]
        for layer in self.layers:
            x = layer(x, cos, sin)
        x = F.rms_norm(x[:, -scored:], (H,), self.norm, 1e-5)
        return F.linear(x, self.embedding)


model = Decoder()
ids = torch.randint(0, V, (spec["rows"], S + 1))
angles = torch.outer(torch.arange(S).float(), 10000 ** (-torch.arange(0, D, 2).float() / D))
cos, sin = angles.cos(), angles.sin()
targets = ids[:, -spec["scored"]:]
advantages = torch.rand(targets.shape) - 0.5
sampling = torch.full(targets.shape, -5.0)


def step():
    model.zero_grad(set_to_none=True)
    logits = model(ids[:, :-1], cos, sin, spec["scored"])
    logprobs = torch.log_softmax(logits, -1).gather(-1, targets[..., None]).squeeze(-1)
    loss = -(torch.exp((logprobs - sampling).clamp(-20, 20)) * advantages).sum()
    loss.backward()


print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    step()
    print(f"seconds {time.perf_counter() - start}", flush=True)
