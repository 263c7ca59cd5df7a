"""The capstone: from a scene to a served decision, in one pipeline that four factories share."""
