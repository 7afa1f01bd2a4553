"""Typical mistakes of the assignment *the training loop*, and what each must be told."""

WRONG = {
    "cross-entropy": [
        ("    return (shifted", "    (shifted", "return"),
        (".mean()", ".sum()", "the mean, not the sum"),
        ("shifted.exp().sum(1).log() - own", "own - shifted.exp().sum(1).log()", "minus the logarithm"),
        (".log() -", ".log2() -", "in bits"),
        ("logits - logits.amax(1, keepdim=True)", "logits", "found inf"),
        (".mean()", ".mean().item()", "no gradient flows"),
        (
            "(shifted.exp().sum(1).log() - own)",
            "-(own.exp() / shifted.exp().sum(1)).log()",
            "confident mistake.*costs inf",
        ),
        (
            "return (shifted.exp().sum(1).log() - own).mean()",
            "return torch.nn.functional.cross_entropy(logits, labels)",
            "it calls cross_entropy",
        ),
        (
            "return (shifted.exp().sum(1).log() - own).mean()",
            "return nn.CrossEntropyLoss()(logits, labels)",
            "it calls Cr",
        ),
        (
            "return (shifted.exp().sum(1).log() - own).mean()",
            "return -logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()",
            "it calls log_softmax",
        ),
        (".mean()", "", "the mean over the images"),
        (".mean()", ".mean().detach()", "no gradient flows"),
        ("shifted[torch.arange(len(labels)), labels]", "shifted[:, labels[0]]", "Which logit"),
        (
            "return (shifted.exp().sum(1).log() - own).mean()",
            "return (own.exp() / shifted.exp().sum(1)).mean()",
            "0.25",
        ),
    ],
    "batches": [
        ("    return list", "    list", "return"),
        ("torch.randperm(count, generator=torch.Generator().manual_seed(seed))", "torch.arange(count)", "in order"),
        ("torch.randperm(count, generator=torch.Generator().manual_seed(seed))", "torch.randperm(count)", "same seed"),
        ("manual_seed(seed)", "manual_seed(0)", "another seed"),
        ("torch.randperm(count,", "torch.randint(0, count, (count,),", "comes twice"),
        ("list(order.split(batch_size))", "list(order.split(batch_size))[:-1]", "the last batch is just smaller"),
        ("list(order.split(batch_size))", "order.split(batch_size)", "make it a list"),
    ],
    "fit": [
        ("    return model.eval(), losses", "", "return"),
        ("    return model.eval(), losses", "    return model.eval()", "tuple of two"),
        ("            model.zero_grad()\n", "", "gradients add up"),
        ("p -= ", "p += ", "LESS probable"),
        ("p -= learning_rate * p.grad", "p = p - learning_rate * p.grad", "in place"),
        ("cross_entropy(model(images[chosen])", "cross_entropy(model(images[chosen]).softmax(1)", "softmax"),
        ("    model.train()\n", "    model.eval()\n", "in training mode"),
        ("model.eval(), losses", "model, losses", "comes back in training mode"),
        ("seed + epoch)", "seed)", "an order of its own"),
        ("total / len(images)", "loss.item()", "Weigh"),
        ("loss.item() * len(chosen)", "loss * len(chosen)", "Python floats"),
        (
            "        losses.append(total / len(images))",
            "            losses.append(loss.item())",
            "What|one for each|Weigh",
        ),
        (
            "            with torch.no_grad():\n                for p in model.parameters():\n"
            "                    p -= learning_rate * p.grad\n",
            "            torch.optim.SGD(model.parameters(), learning_rate).step()\n",
            "it calls torch.optim",
        ),
    ],
    "accuracy": [
        ("    return hits", "    hits", "return"),
        ("return hits /", "return 100 * hits /", "not percent"),
        ("== y", "!= y", "the fraction of mistakes"),
        (".sum().item()", ".float().mean().item()", "Python float|three of five|the mean of"),
        ("return hits / len(images)", "return hits / len(images[:batch_size])", "only the first batch"),
    ],
}
