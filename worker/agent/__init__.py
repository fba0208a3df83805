"""The worker's parent process beside Celery: joins, is heard from, delivers what was spooled."""
