"""What people, repair and judge share: detect, embed, identify over the cast, assign, the cast file, the words."""
