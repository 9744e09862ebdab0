"""Adobe Experience Platform: identities, envelope, gate, tokens, requests and their answers."""
