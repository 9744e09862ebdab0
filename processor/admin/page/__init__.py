"""The pages of the admin server: what a person sees and does with a browser."""
