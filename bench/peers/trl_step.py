"""TRL's GRPOTrainer on a model of our small shape, a step at a time: prints `ready`, then `seconds …` for every line `step` on stdin.

A step is 8 prompts of 16 tokens × 8 completions of 8 tokens: generation, scoring, forward, backward, AdamW. The model has random
weights, as ours has, so that both sides draw completions without an end.
"""

import random
import sys
import tempfile
import time

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

ROWS, GROUP, PROMPT, COMPLETION, VOCABULARY = 64, 8, 16, 8, 64


def tokenizer():
    words = {f"w{index}": index for index in range(VOCABULARY)}
    raw = Tokenizer(models.WordLevel(words, unk_token="w3"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="w0", bos_token="w1", eos_token="w2", unk_token="w3", padding_side="left")


def model():
    torch.manual_seed(3)
    return LlamaForCausalLM(LlamaConfig(
        hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, vocab_size=VOCABULARY,
        max_position_embeddings=512, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    ))


class Stopwatch(TrainerCallback):
    """Waits for `step` before every step and says afterwards how long it took."""

    started = 0.0

    def on_step_begin(self, args, state, control, **kwargs):
        if sys.stdin.readline().strip() != "step":
            sys.exit(0)
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        print(f"seconds {time.perf_counter() - self.started}", flush=True)


def main():
    draw = random.Random(1)
    prompts = [" ".join(f"w{draw.randrange(4, VOCABULARY)}" for _ in range(PROMPT)) for _ in range(4096)]
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, per_device_train_batch_size=ROWS, num_generations=GROUP, max_completion_length=COMPLETION,
        generation_kwargs={"min_new_tokens": COMPLETION}, temperature=1.0, beta=0.0, learning_rate=1e-6, max_steps=100_000, gradient_checkpointing=False,
        logging_strategy="no", save_strategy="no", report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
    )
    # A reward that differs inside every group, so that there is a gradient.
    reward = lambda completions, **_: [(index % GROUP) / GROUP for index in range(len(completions))]
    trainer = GRPOTrainer(model=model(), reward_funcs=reward, args=config, train_dataset=Dataset.from_dict({"prompt": prompts}), processing_class=tokenizer(), callbacks=[Stopwatch()])
    print("ready", flush=True)
    trainer.train()


if __name__ == "__main__":
    main()
