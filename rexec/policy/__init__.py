"""The policy: text -> Policy; decide(policy, request) -> Permit, Deny or Missing. No I/O at all."""
