"""How pictures of a synthetic world come about: rays, surfaces, light, film."""
