from django.conf import settings
from django.db import models


class JotgateUser(models.Model):
    subject = models.CharField(max_length=64, primary_key=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
