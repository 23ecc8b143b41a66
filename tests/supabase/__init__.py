"""Supabase: Storage through its client, roles, the pooler, backup and restore."""
