"""The engine: recipes in, composed models, scores and checkpoints out.

Importing it registers every method; nothing imported here needs torch.
"""
