"""The Stable Diffusion family: the only place that knows latent channels, the VAE's factor, 77 tokens and the U-Net.

`config` imports without torch. Everything else is imported from its own module when it is used:
`build.build_pocket_pipeline`, `folder.load_pipeline`, `folder.save_pipeline`, `family.StableDiffusion`.
"""
