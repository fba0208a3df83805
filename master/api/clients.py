from fastapi import APIRouter
def build_router(read, write, owner): return APIRouter()
