"""Not there."""

raise ImportError(
    "gluon: MXNet's layers and trainers are out of scope; build with gradflow.nn and gradflow.optim, or with autograd and npx"
)
