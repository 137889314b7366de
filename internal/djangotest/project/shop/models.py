from django.conf import settings
from django.db import models


class JotgateUser(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True)
    subject = models.CharField(max_length=64, unique=True)
