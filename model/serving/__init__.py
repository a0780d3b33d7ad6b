"""The machinery that turns `predictor.transformation` into a SageMaker endpoint. Start reading at commands/serve.py."""
