"""The SageMaker container contract, as tests that speak only HTTP and `docker run`. Nothing here imports model/."""
