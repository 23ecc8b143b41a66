"""The `training_files` table."""

from __future__ import annotations

from uuid import UUID

from psycopg.types.json import Jsonb

from functions.model.training_file import TrainingFile
from infra.postgres.rows import Row, Table


def _file(row: Row) -> TrainingFile:
    return TrainingFile.model_validate({key: value for key, value in row.items() if key != "conversation_count"})


class TrainingFilesTable(Table):
    """Statements over `training_files`."""

    def get(self, team_id: str, file_id: UUID) -> TrainingFile | None:
        """One file of the team."""
        row = self._one("select * from training_files where team_id = %s and id = %s", team_id, file_id)
        return None if row is None else _file(row)

    def by_content(self, team_id: str, sha256: str) -> TrainingFile | None:
        """The active file with these very bytes."""
        row = self._one(
            "select * from training_files where team_id = %s and sha256 = %s and status = 'active'",
            team_id,
            sha256,
        )
        return None if row is None else _file(row)

    def search(self, team_id: str, text: str, limit: int) -> list[TrainingFile]:
        """Active files whose name contains the text, newest first."""
        rows = self._all(
            "select * from training_files where team_id = %s and status = 'active'"
            " and position(lower(%s) in lower(name || ' ' || file_name)) > 0 order by created_at desc limit %s",
            team_id,
            text,
            limit,
        )
        return [_file(row) for row in rows]

    def add(self, file: TrainingFile) -> None:
        """Insert a file."""
        self._run(
            "insert into training_files (id, team_id, name, file_name, file_format, status, enrichment_status,"
            " storage_path, sequences_path, sequences_sha256, size_bytes, sha256, conversation_count, stats,"
            " created_by, created_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            file.id,
            file.team_id,
            file.name,
            file.file_name,
            file.file_format.value,
            file.status,
            file.enrichment_status.value,
            file.storage_path,
            file.sequences_path,
            file.sequences_sha256,
            file.size_bytes,
            file.sha256,
            file.stats.conversations,
            Jsonb(file.stats.model_dump(mode="json")),
            file.created_by,
            file.created_at,
        )
