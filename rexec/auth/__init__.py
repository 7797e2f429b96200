"""Who is there: keys, signatures, and the files that say what a key may be. Touches nothing."""
