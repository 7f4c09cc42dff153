"""The engine as a local service: protocol, server, jobs, security, life of the process."""
