"""Round to nearest, GPTQ and MatGPTQ: grids from weights, codes from weights and inputs."""
