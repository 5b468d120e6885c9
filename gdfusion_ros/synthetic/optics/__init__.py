"""How pictures of a made world come about: rays, surfaces, light, film."""
