import json
import sys

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from shop.models import JotgateUser


class Command(BaseCommand):
    help = 'Reads "jotgate user list --output json" and links imported users to those they were.'

    def handle(self, *args, **options):
        for user in json.load(sys.stdin):
            source, _, pk = user.get("external_id", "").partition(":")
            if source == "django" and get_user_model().objects.filter(pk=pk).exists():
                JotgateUser.objects.update_or_create(user_id=pk, defaults={"subject": user["id"]})
