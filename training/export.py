"""Writes a trained network as a Hugging Face folder (packed ternary weights), and checks that folder by reloading it
with transformers in float32: bits per byte, golden logits and continuations for an engine to be compared with, stories.
"""

import json
import os
import shutil
import struct

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # transformers compiles its quantisers, which is of no use here

import numpy as np
import torch
import torch.nn.functional as F

import data
from model import ternarise

PROMPTS = ["Once upon a time", "One day, a little girl named Lily went to the park with her mom.",
           "Tom had a red ball. He liked to play with it, but"]
STORIES = [("greedy", "Once upon a time, there was a"), ("greedy", "Tim had a small boat."),
           ("sampled", ""), ("sampled", "Once upon a time, there was a little"), ("sampled", "The old dragon was sad"),
           ("sampled", '"Can we go to the sea?" asked')]


def pack(codes):
    """Ternary rows, four to a byte: bits 2i+1:2i of packed row r hold row r + i * rows/4, as value + 1."""
    quarter = codes.shape[0] // 4
    assert codes.shape[0] == 4 * quarter
    codes = (codes + 1).to(torch.uint8)
    return sum(codes[i * quarter:(i + 1) * quarter] << (2 * i) for i in range(4))


def save_safetensors(tensors, path):
    """Eight bytes of header length, a JSON header, then the tensors. Written by hand: it is this short."""
    names = {torch.uint8: "U8", torch.float16: "F16", torch.float32: "F32"}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.contiguous().numpy().tobytes())


@torch.no_grad()
def write_folder(model, tokenizer_folder, out):
    cfg = model.cfg
    assert cfg.ternary
    tensors = {}
    for name, value in model.state_dict().items():
        if name.endswith("_proj.weight"):
            codes, scale = ternarise(value.float())
            tensors[name] = pack(codes.round())
            tensors[name[:-len("weight")] + "weight_scale"] = scale.reshape(1)
        else:  # the embedding in half precision (nearer to the float32 one than bfloat16), the norms in full
            tensors[name] = value.half() if "embed_tokens" in name else value.float()
    # 4-byte and 2-byte elements first, so that every tensor lies on a multiple of its element size.
    order = sorted(tensors, key=lambda n: -tensors[n].element_size())
    os.makedirs(out, exist_ok=True)
    save_safetensors({n: tensors[n] for n in order}, os.path.join(out, "model.safetensors"))
    config = {
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": "relu2",
        "vocab_size": cfg.vocab, "hidden_size": cfg.hidden, "intermediate_size": cfg.ffn,
        "num_hidden_layers": cfg.layers, "num_attention_heads": cfg.heads, "num_key_value_heads": cfg.kv_heads,
        "head_dim": cfg.head_dim, "max_position_embeddings": cfg.context, "rms_norm_eps": cfg.eps,
        "rope_theta": cfg.theta, "rope_parameters": {"rope_type": "default", "rope_theta": cfg.theta},
        "attention_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02, "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "use_cache": True, "torch_dtype": "float32",
        "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear",
                                "quantization_mode": "offline"}}
    generation = {"bos_token_id": 0, "eos_token_id": 0, "do_sample": True, "temperature": 0.8, "top_k": 40}
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        with open(os.path.join(out, name), "w") as f:
            json.dump(content, f, indent=1)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(os.path.join(tokenizer_folder, name), os.path.join(out, name))


@torch.no_grad()
def greedy(model, ids, count):
    """`count` greedy tokens (not stopping at the separator), and by how much each one's logit beats the next best."""
    ids, out, lead = list(ids), [], []
    for _ in range(count):
        best = model(torch.tensor([ids])).logits[0, -1].topk(2)
        out.append(best.indices[0].item())
        lead.append(round((best.values[0] - best.values[1]).item(), 4))
        ids.append(out[-1])
    return out, lead


@torch.no_grad()
def check(folder, work, beside, saved):
    """Everything here is measured on the exported files, as transformers reads them, in float32."""
    import transformers
    from tokenizers import Tokenizer
    from transformers import BitNetForCausalLM

    torch.set_num_threads(4)  # with 32, the greedy loop below did not end in six minutes
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    model, loading = BitNetForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                       output_loading_info=True)
    model.eval()
    print("loading:", loading, flush=True)
    q = model.model.layers[0].self_attn.q_proj
    source = f"transformers {transformers.__version__}, float32, CPU, eager attention"
    print(source, type(q).__name__, q.weight.dtype, q.weight.shape, q.weight_scale.dtype,
          model.model.embed_tokens.weight.dtype, flush=True)

    # Golden values, on the CPU.
    stream, _ = data.evaluation_stream(work, "tinystories_valid")
    ids = stream[:64].tolist()
    prompts = [tokenizer.encode(p).ids for p in PROMPTS]  # the separator comes first: it is the BOS
    logits = model(torch.tensor([ids])).logits[0].float().numpy()
    logits.astype("<f4").tofile(os.path.join(beside, "golden_logits.f32"))
    continued = [greedy(model, p, 64) for p in prompts]
    quantised = {}
    for name, module in model.named_modules():  # the same without activation quantisation, to compare closely
        if type(module).__name__ == "AutoBitLinear":
            quantised[module] = module.forward
            module.forward = lambda x, m=module: F.linear(x, m.weight) * m.weight_scale
    model(torch.tensor([ids])).logits[0].float().numpy().astype("<f4").tofile(
        os.path.join(beside, "golden_logits_float.f32"))
    for module, forward in quantised.items():
        module.forward = forward
    with open(os.path.join(beside, "golden.json"), "w") as f:
        json.dump({"source": source, "linear_class_seen": type(q).__name__, "prompt_texts": PROMPTS,
                   "prompts": prompts, "greedy": [c[0] for c in continued],
                   "greedy_lead": [c[1] for c in continued], "logits_prompt": ids,
                   "logits_file": "golden_logits.f32 (little-endian float32, one row of vocab_size per position)",
                   "logits_float_file": "golden_logits_float.f32: the same without activation quantisation",
                   "note": "int8 activations round chaotically: expect per-row relative differences of about 1e-2 "
                           "between right implementations; greedy may part where greedy_lead is small"}, f)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    measures = {"config": saved["config"], "log": saved["log"], "bits_per_byte": {}, "stories": [],
                "parameters": sum(p.numel() for p in model.parameters()),
                "safetensors_bytes": os.path.getsize(os.path.join(folder, "model.safetensors"))}
    for name in ("tinystories_valid", "gutenberg_valid"):
        stream, n_bytes = data.evaluation_stream(work, name)
        measures["bits_per_byte"][name] = {
            f"stride {stride}": data.bits_per_byte(lambda t: model(t).logits, stream, n_bytes, 512, stride, device, 32)
            for stride in (512, 256)}
        measures["bits_per_byte"][name].update(tokens=len(stream) - 1, bytes=n_bytes)
        print(name, measures["bits_per_byte"][name], flush=True)
    torch.manual_seed(1)  # temperature and top-k: those of generation_config.json
    for how, start in STORIES:
        ids = tokenizer.encode(start).ids
        out = model.generate(torch.tensor([ids], device=device), attention_mask=torch.ones(1, len(ids), device=device),
                             max_new_tokens=440, do_sample=how == "sampled", pad_token_id=0)
        text = tokenizer.decode(out[0].tolist(), skip_special_tokens=True)
        measures["stories"].append({"how": how, "prompt": start, "text": text, "ended": out[0, -1].item() == 0})
        print(f"--- {how}\n{text}", flush=True)
    with open(os.path.join(beside, "measures.json"), "w") as f:
        json.dump(measures, f, indent=1)
