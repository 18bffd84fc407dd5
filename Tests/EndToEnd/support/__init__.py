"""What the end-to-end tests share: the agent under test, real and scripted servers, and the oracle."""
